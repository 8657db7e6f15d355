"""S1: image import from the web does not lead back inside."""

from __future__ import annotations

import pytest

from common.errors import InvalidInput
from services.image.core.web_addresses import WebRules, checked, may_be_asked
from services.image.drivers.web.downloads import DownloadFailed, WebDownloads

RULES = WebRules(frozenset({80, 443}))


@pytest.mark.parametrize(
    "uri",
    [
        *("", "nonsense", "//host/x", "http://", "http:///x", "file:///etc/passwd", "gopher://info.cern.ch/"),
        *("ftp://host/x", "filesystem:///x", "rbd://pool/image", "swift+config://x", "javascript:alert(1)"),
        *("http://user@host/", "http://user:password@host/", "http://host@127.0.0.1/", "http://a%40b/"),
        *("http://host:22/", "http://host:0/", "http://host:99999/", "http://host:x/", "https://host:8774/"),
        *("http://host/a b", "http://host/\r\nx: y", "http://ho\\st/", "http://höst/", "http://host/" + "x" * 3000),
        *("http://[::1", "http://[nonsense]/", " http://host/", "http://host\0/"),
    ],
)
def test_s1_an_address_of_another_form_is_refused_before_anything_is_asked(uri: str) -> None:
    with pytest.raises(InvalidInput):
        checked(uri, RULES)


@pytest.mark.parametrize(
    "uri",
    [
        *(
            "http://127.0.0.1/",
            "http://localhost/",
            "http://localhost./",
            "http://127.1/",
            "http://0/",
            "http://0.0.0.0/",
        ),
        *("http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://0177.0.0.1/", "http://017700000001/"),
        *("http://[::1]/", "http://[::]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/"),
        *("http://[::127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://[fe80::1]/"),
        *("http://169.254.169.254/latest/meta-data/", "http://2852039166/", "http://[::ffff:a9fe:a9fe]/"),
        *("http://10.0.0.1/", "http://172.16.0.1/", "http://192.168.1.1/", "http://100.64.0.1/", "http://[fd00::1]/"),
        *("http://224.0.0.1/", "http://255.255.255.255/", "http://[ff02::1]/"),
    ],
)
def test_s1_no_spelling_of_an_address_inside_is_asked(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object, **__: object) -> None:
        pytest.fail("a connection was made")

    monkeypatch.setattr("socket.create_connection", connect)
    downloads = WebDownloads(rules=RULES, most_bytes=100, most_s=5)

    with pytest.raises(DownloadFailed) as refused:
        next(downloads.pieces(uri))

    assert refused.value.message in ("The host's address is not allowed", "The host's name cannot be resolved")


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_addresses_of_the_outside_may_be_asked(address: str) -> None:
    assert may_be_asked(address, ())
