"""Requests that two programs could read in two ways are refused, and what follows them is never taken for a request."""

from __future__ import annotations

import pytest

from tests.unit.gateway.running import Gateway

HIDDEN = b"GET /compute/hidden HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /compute/x HTTP/1.1\r\nHost: a\r\n"
AMBIGUOUS = {
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "the same length twice": POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "length and chunks": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "a list of lengths": POST + b"Content-Length: 5, 5\r\n\r\nhello",
    "a length with a sign": POST + b"Content-Length: +5\r\n\r\nhello",
    "space before the colon": POST + b"Content-Length : 5\r\n\r\nhello",
    "another coding last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a chunk of odd size": POST + b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "a length after the chunks": POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n",
    "a folded header": b"GET /compute/x HTTP/1.1\r\nHost: a\r\nX-Auth-Token: a\r\n b\r\n\r\n",
    "a bare line end in a header": b"GET /compute/x HTTP/1.1\r\nHost: a\r\nX-A: a\rb\r\n\r\n",
    "NUL in a header": b"GET /compute/x HTTP/1.1\r\nHost: a\r\nX-A: a\x00b\r\n\r\n",
    "two hosts": b"GET /compute/x HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
    "no host": b"GET /compute/x HTTP/1.1\r\nConnection: close\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01",
}


@pytest.mark.parametrize("request_bytes", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_an_ambiguous_request_is_refused_and_nothing_after_it_is_served(gateway: Gateway, request_bytes: bytes) -> None:
    raw = gateway.raw(request_bytes + HIDDEN)

    assert raw == b"" or (raw.startswith(b"HTTP/1.1 400 ") and b'"code":400' in raw)  # cut, once the service has begun
    assert b"hidden" not in raw


def test_what_follows_a_length_of_zero_is_a_request_of_its_own_and_gets_an_answer_of_its_own(gateway: Gateway) -> None:
    first = b"POST /compute/first HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    last = b"GET /compute/last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

    raw = gateway.raw(first + last)

    assert raw.count(b"HTTP/1.1 200 ") == 2
    assert raw.index(b"/first") < raw.index(b"/last")
