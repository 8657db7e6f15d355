"""S1: image import from the web does not lead back inside."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from typing import Any, ClassVar
from urllib.parse import quote, unquote

import pytest

from common.errors import InvalidInput, TooLarge
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


# ---------------------------------------------------------------- a server that means harm


class Harm(BaseHTTPRequestHandler):
    """Sends people on, gives without end, or gives hardly at all."""

    asked: ClassVar[list[str]] = []
    go_on: ClassVar[threading.Event] = threading.Event()

    def do_GET(self) -> None:
        self.asked.append(self.path)
        how, _, rest = self.path[1:].partition("/")
        with suppress(OSError):
            getattr(self, f"_{how}")(unquote(rest))

    def _to(self, place: str) -> None:
        self._begin(302, location=place)

    def _hops(self, number: str) -> None:
        """So many more on this server, then inside."""
        left = int(number)
        self._to(f"/hops/{left - 1}" if left else "http://169.254.169.254/latest/meta-data/")

    def _endless(self, _: str) -> None:
        self._begin(200)
        while not self.go_on.wait(0):
            self.wfile.write(b"x" * 65536)

    def _lying(self, _: str) -> None:
        self._begin(200, **{"content-length": str(1 << 40)})

    def _short(self, _: str) -> None:
        self._begin(200, **{"content-length": "1000"})
        self.wfile.write(b"x" * 10)

    def _drip(self, _: str) -> None:
        self._begin(200)
        while not self.go_on.wait(0.05):
            self.wfile.write(b"x")
            self.wfile.flush()

    def _slow(self, _: str) -> None:
        """Not even its headers come to an end."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Header: ")
        while not self.go_on.wait(0.05):
            self.wfile.write(b"x")
            self.wfile.flush()

    def _silent(self, _: str) -> None:
        self.go_on.wait(120)

    def _begin(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Not in the tests' output."""


@pytest.fixture
def harm() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Harm)
    Harm.asked, Harm.go_on = [], threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    Harm.go_on.set()
    server.shutdown()
    server.server_close()


def from_the_lab(port: int, *, most_s: float = 60, silence_s: float = 60, most_bytes: int = 1 << 20) -> WebDownloads:
    """This test's own server is allowed; all else inside is not."""
    rules = WebRules(frozenset({port, 80, 443}), (ip_network("127.0.0.1/32"),))
    return WebDownloads(rules=rules, most_bytes=most_bytes, most_s=most_s, silence_s=silence_s)


@pytest.mark.parametrize(
    "place",
    [
        *("http://127.0.0.2/", "http://[::1]/", "http://2130706434/", "http://0x7f000002/", "http://169.254.169.254/"),
        *(
            "http://[::ffff:169.254.169.254]/",
            "http://10.0.0.1/",
            "file:///etc/passwd",
            "gopher://127.0.0.1/",
            "//[::1]/x",
        ),
        *("http://user:word@127.0.0.1/", "http://127.0.0.1:22/", "ftp://127.0.0.1/x"),
    ],
)
def test_s1_a_redirect_is_checked_like_the_first_address(harm: int, place: str) -> None:
    with pytest.raises((DownloadFailed, InvalidInput)):
        next(from_the_lab(harm).pieces(f"http://127.0.0.1:{harm}/to/{quote(place, safe='')}"))

    assert len(Harm.asked) == 1


@pytest.mark.parametrize("hops", [1, 3, 5])
def test_s1_each_hop_is_checked_not_just_the_first(harm: int, hops: int) -> None:
    with pytest.raises(DownloadFailed, match=r"not allowed|too often"):
        next(from_the_lab(harm).pieces(f"http://127.0.0.1:{harm}/hops/{hops}"))

    assert len(Harm.asked) == hops + 1


def test_s1_a_server_that_redirects_for_ever_is_left(harm: int) -> None:
    with pytest.raises(DownloadFailed, match="too often"):
        next(from_the_lab(harm).pieces(f"http://127.0.0.1:{harm}/hops/100"))

    assert len(Harm.asked) == 6


def test_s1_a_name_that_changes_its_address_is_asked_for_once_and_pinned(
    harm: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["127.0.0.1", "169.254.169.254", "10.0.0.1"])
    connected: list[Any] = []
    resolved: list[str] = []
    real_connect = socket.create_connection

    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        resolved.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    def connect(address: tuple[str, int], *given: Any, **more: Any) -> socket.socket:
        connected.append(address)
        with monkeypatch.context() as plain:
            plain.setattr("socket.getaddrinfo", real_resolve)
            return real_connect(address, *given, **more)

    real_resolve = socket.getaddrinfo
    monkeypatch.setattr("socket.getaddrinfo", resolve)
    monkeypatch.setattr("socket.create_connection", connect)

    with pytest.raises((DownloadFailed, TooLarge)):
        list(from_the_lab(harm).pieces(f"http://rebinding.example:{harm}/endless/"))

    assert (resolved, connected) == (["rebinding.example"], [("127.0.0.1", harm)])


def test_s1_a_name_with_one_address_inside_is_not_asked_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(_: str, port: int, *__: Any, **___: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in ("1.1.1.1", "10.0.0.1")]

    monkeypatch.setattr("socket.getaddrinfo", resolve)

    with pytest.raises(DownloadFailed, match="not allowed"):
        next(WebDownloads(rules=RULES, most_bytes=100, most_s=5).pieces("http://both.example/"))


@pytest.mark.parametrize("path", ["/endless/", "/lying/"])
def test_s1_a_download_ends_at_the_cap_whatever_was_announced(harm: int, path: str) -> None:
    taken = 0

    with pytest.raises(TooLarge):
        for piece in from_the_lab(harm).pieces(f"http://127.0.0.1:{harm}{path}"):
            taken += len(piece)

    assert taken <= 1 << 20


@pytest.mark.parametrize("path", ["/drip/", "/slow/", "/silent/"])
def test_s1_a_server_that_gives_hardly_anything_is_left_in_time(harm: int, path: str) -> None:
    began = time.monotonic()

    with pytest.raises(DownloadFailed):
        list(from_the_lab(harm, most_s=1, silence_s=1).pieces(f"http://127.0.0.1:{harm}{path}"))

    assert time.monotonic() - began < 60


def test_s1_a_download_that_breaks_off_is_no_image(harm: int) -> None:
    with pytest.raises(DownloadFailed):
        list(from_the_lab(harm).pieces(f"http://127.0.0.1:{harm}/short/"))
