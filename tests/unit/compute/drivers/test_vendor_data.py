"""What an operator's file and services say to guests, and what becomes of it when they do not answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from common.errors import Unavailable
from services.compute.core.config_drive import VendorData
from services.compute.drivers.vendor_data import VendorSource

ABOUT = {"instance-id": "i", "hostname": "web"}


class Service(BaseHTTPRequestHandler):
    """Answers with what it was told, or badly, by the path that is asked."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        over: threading.Event = self.server.over  # type: ignore[attr-defined]
        self.send_response(500 if self.path == "/fails" else 200)
        self.end_headers()
        if self.path == "/trickles":
            while not over.wait(0.05):
                self.wfile.write(b" ")
                self.wfile.flush()
        elif self.path == "/huge":
            self.wfile.write(b" " * (1 << 21))
        else:
            self.wfile.write(b"{" if self.path == "/broken" else json.dumps({"you": asked["hostname"]}).encode())

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        server.over = threading.Event()  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.over.set()  # type: ignore[attr-defined]
        server.shutdown()


def test_a_file_and_services_are_told_together(tmp_path: Path, url: str) -> None:
    file = tmp_path / "vendor.json"
    file.write_text('{"motd": "hello"}')

    found = VendorSource(file, {"cmdb": f"{url}/good", "other": f"{url}/good"}).told(ABOUT)

    assert found == VendorData({"motd": "hello"}, {"cmdb": {"you": "web"}, "other": {"you": "web"}})


@pytest.mark.parametrize("path", ["fails", "broken", "trickles", "huge"])
def test_a_service_that_answers_badly_says_nothing_and_holds_nobody_up(url: str, path: str) -> None:
    patience_s = 3 if path == "trickles" else 60
    source = VendorSource(None, {"bad": f"{url}/{path}", "good": f"{url}/good"}, timeout_s=patience_s)

    assert source.told(ABOUT).dynamic == {"bad": {}, "good": {"you": "web"}}


@pytest.mark.parametrize("target", ["http://127.0.0.1:1/", "nonsense", "http://[::1"])
def test_a_service_that_is_away_says_nothing_unless_it_must(tmp_path: Path, target: str) -> None:
    assert VendorSource(None, {"away": target}).told(ABOUT).dynamic == {"away": {}}
    with pytest.raises(Unavailable, match="'away'"):
        VendorSource(None, {"away": target}, is_required=True).told(ABOUT)


def test_a_file_that_is_none_says_nothing(tmp_path: Path) -> None:
    assert VendorSource(tmp_path / "none", {}).told(ABOUT) == VendorData()
    (tmp_path / "bad").write_text("{")
    assert VendorSource(tmp_path / "bad", {}).told(ABOUT) == VendorData()
