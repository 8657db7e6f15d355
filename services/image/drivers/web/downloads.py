"""Downloads from the web at a stranger's wish: each hop is checked, and its host resolved once and held to.

The connection goes to the very address that was checked; the name only serves the certificate and the `Host` header.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
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
        ends = time.monotonic() + self.most_s
        with self._answer(uri) as answer:
            if int(answer.headers.get("content-length") or 0) > self.most_bytes:
                raise TooLarge(f"An image may have {self.most_bytes} bytes at most")
            taken = 0
            for piece in answer.iter_raw(PIECE_BYTES):
                taken += len(piece)
                if taken > self.most_bytes:
                    raise TooLarge(f"An image may have {self.most_bytes} bytes at most")
                if time.monotonic() > ends:
                    raise DownloadFailed("The download took too long")
                yield piece

    @contextmanager
    def _answer(self, uri: str) -> Iterator[httpx.Response]:
        """The first answer that is no redirect."""
        with httpx.Client(trust_env=False) as client:
            try:
                for _ in range(MOST_HOPS + 1):
                    with closing(client.send(self._request(checked(uri, self.rules)), stream=True)) as answer:
                        if answer.status_code in REDIRECTS and (onwards := answer.headers.get("location")):
                            uri = urljoin(uri, onwards)
                            continue
                        if answer.status_code != 200:
                            raise DownloadFailed(f"The server there answered {answer.status_code}")
                        yield answer
                        return
            except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                raise DownloadFailed("The server there cannot be reached, or broke off") from error
        raise DownloadFailed("The server there redirects too often")

    def _request(self, target: Target) -> httpx.Request:
        address = self._resolved(target)
        host = f"[{address}]" if ":" in address else address
        name = f"[{target.host}]" if ":" in target.host else target.host
        return httpx.Request(
            "GET",
            f"{target.scheme}://{host}:{target.port}{target.path}",
            headers={"host": f"{name}:{target.port}", "accept-encoding": "identity", "accept": "*/*"},
            extensions={"sni_hostname": target.host, "timeout": self._patience()},
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
