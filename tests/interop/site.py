"""A web site on loopback with small images, for tests that have them downloaded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.harness.clouds import run

RAW, QCOW2 = "image.raw", "image.qcow2"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Not in the tests' output."""


@contextmanager
def site(folder: Path) -> Iterator[int]:
    """Its port."""
    folder.mkdir()
    run("qemu-img", "create", "-q", "-f", "qcow2", str(folder / QCOW2), "1M")
    (folder / RAW).write_bytes(b"an image" * 128)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
