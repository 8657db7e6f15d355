"""Downloads from the web at a stranger's wish: each hop is checked, and its host resolved once and held to.

The connection goes to the very address that was checked; the name only serves the certificate and the `Host` header.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import httpx

from common.errors import PlatformError, TooLarge
from services.image.core.web_addresses import Target, WebRules, checked, may_be_asked

PIECE_BYTES = 1 << 20
MOST_HOPS = 5
REDIRECTS = (301, 302, 303, 307, 308)


class DownloadFailed(PlatformError):
    """The web did not give the image; the message names no address of ours."""

    status, code = 400, "download.failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebDownloads:
    """Thread-safe."""

    rules: WebRules
    most_bytes: int
    most_s: float  # for a whole download
    silence_s: float = 30

    def pieces(self, uri: str) -> Iterator[bytes]:
        """The bytes there.  InvalidInput, DownloadFailed, TooLarge"""
        with closing(_Deadline(self.most_s)) as deadline, self._answer(uri, deadline) as answer:
            self._must_fit(int(answer.headers.get("content-length") or 0))
            taken, held, waiting = 0, [], 0
            for chunk in answer.iter_raw():  # as they come: waiting for more would hide how slow they are
                held.append(chunk)
                taken, waiting = taken + len(chunk), waiting + len(chunk)
                self._must_fit(taken)
                deadline.must_be_ahead()
                if waiting >= PIECE_BYTES:
                    yield b"".join(held)
                    held, waiting = [], 0
            deadline.must_be_ahead()  # a connection that was cut off looks like the end, too
            yield b"".join(held)

    def _must_fit(self, size: int) -> None:
        if size > self.most_bytes:
            raise TooLarge(f"An image may have {self.most_bytes} bytes at most")

    @contextmanager
    def _answer(self, uri: str, deadline: _Deadline) -> Iterator[httpx.Response]:
        """The first answer that is no redirect."""
        with httpx.Client(trust_env=False) as client:
            try:
                for _ in range(MOST_HOPS + 1):
                    with closing(client.send(self._request(checked(uri, self.rules), deadline), stream=True)) as answer:
                        if answer.status_code in REDIRECTS and (onwards := answer.headers.get("location")):
                            uri = urljoin(uri, onwards)
                            continue
                        if answer.status_code != 200:
                            raise DownloadFailed(f"The server there answered {answer.status_code}")
                        yield answer
                        return
            except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                deadline.must_be_ahead()
                raise DownloadFailed("The server there cannot be reached, or broke off") from error
        raise DownloadFailed("The server there redirects too often")

    def _request(self, target: Target, deadline: _Deadline) -> httpx.Request:
        address = self._resolved(target)
        host = f"[{address}]" if ":" in address else address
        name = f"[{target.host}]" if ":" in target.host else target.host
        return httpx.Request(
            "GET",
            f"{target.scheme}://{host}:{target.port}{target.path}",
            headers={"host": f"{name}:{target.port}", "accept-encoding": "identity", "accept": "*/*"},
            extensions={"sni_hostname": target.host, "timeout": self._patience(), "trace": deadline.trace},
        )

    def _patience(self) -> dict[str, float]:
        return {"connect": 10, "read": self.silence_s, "write": self.silence_s, "pool": 10}

    def _resolved(self, target: Target) -> str:
        """The one address that is asked; all that the name stands for must be allowed.  DownloadFailed"""
        try:
            found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise DownloadFailed("The host's name cannot be resolved") from error
        addresses = [str(one[4][0]).partition("%")[0] for one in found]
        if not addresses or not all(may_be_asked(one, self.rules.networks) for one in addresses):
            raise DownloadFailed("The host's address is not allowed")
        return addresses[0]


class _Deadline:
    """Cuts the connections of a download off when its time is over: a server that gives a byte now and then is never silent."""

    def __init__(self, seconds: float) -> None:
        self._ends, self._connections = time.monotonic() + seconds, list[socket.socket]()
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def must_be_ahead(self) -> None:
        """DownloadFailed"""
        if time.monotonic() >= self._ends:
            raise DownloadFailed("The download took too long")

    def trace(self, event: str, told: dict[str, Any]) -> None:
        """Hears from httpcore of each connection."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._connections.append(told["return_value"].get_extra_info("socket"))
            if time.monotonic() >= self._ends:
                self._cut()

    def close(self) -> None:
        self._timer.cancel()

    def _cut(self) -> None:
        for connection in self._connections:
            with suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
