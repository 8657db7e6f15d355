"""The HTTP client that services use towards each other: base address, ids passed on, errors as ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import httpx

from common import log as ids
from common.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    PlatformError,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from common.http.inprocess import Inside, reached

# fmt: off
MEANING: dict[int, type[PlatformError]] = {
    400: InvalidInput, 401: Unauthenticated, 403: Forbidden, 404: NotFound, 409: Conflict, 413: TooLarge,
}
# fmt: on

END_OF_FAULT = "<br /><br />"

TokenSource = Callable[[], str]
"""Gives a valid token of this process's own service user; called for each request."""


@runtime_checkable
class Voucher(Protocol):
    """A service's own token, shown beside a user's that is passed on."""

    def __call__(self) -> str:
        """A token that is good for a while."""

    def forget(self) -> None:
        """It was refused: get another one next time."""


class ServiceClient:
    """Requests to one other service.  Thread-safe.

    `inside` reaches services of this process by their names; without it, requests go over the network.  `voucher` goes with
    users' tokens: what a user asked of this service may go on when its token ends, or is good for this service only.
    """

    def __init__(
        self,
        base_url: str,
        *,
        inside: Inside | None = None,
        token: TokenSource | None = None,
        voucher: Voucher | None = None,
        timeout_s: float = 30,
    ) -> None:
        self._token, self._voucher = token, voucher
        self._http = httpx.Client(
            base_url=base_url,
            transport=inside.transport() if inside else httpx.HTTPTransport(retries=1),
            timeout=httpx.Timeout(timeout_s, connect=5),
            trust_env=False,
        )

    def request(
        self, method: str, path: str, *, token: str | None = None, headers: dict[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        """The answer, if it is a good one.  The error of `MEANING` by its status; Unavailable for 5xx and no answer."""
        answer = self._asked(method, path, token, headers, options)
        ours = self._voucher if token else self._token
        if answer.status_code == 401 and isinstance(ours, Voucher) and not _is_spent(options):
            ours.forget()  # whose token was it?  Once more, with a new one of ours
            answer = self._asked(method, path, token, headers, options)
        return _good(answer)

    def _asked(
        self, method: str, path: str, token: str | None, more: dict[str, str] | None, options: dict[str, Any]
    ) -> httpx.Response:
        try:
            return self._http.request(method, path, headers=self._headers(token, more), **options)
        except httpx.HTTPError as error:
            raise reached(error) from error

    @contextmanager
    def stream(
        self, method: str, path: str, *, token: str | None = None, headers: dict[str, str] | None = None, **options: Any
    ) -> Iterator[httpx.Response]:
        """The same with the body unread: `answer.iter_bytes()`."""
        try:
            with self._http.stream(method, path, headers=self._headers(token, headers), **options) as answer:
                if answer.is_error:
                    answer.read()
                yield _good(answer)
        except httpx.HTTPError as error:
            raise reached(error) from error

    def close(self) -> None:
        self._http.close()

    def _headers(self, token: str | None, more: dict[str, str] | None) -> dict[str, str]:
        headers = {"accept": "application/json"} | (more or {})
        if given := token or (self._token() if self._token else None):
            headers["x-auth-token"] = given
        if token and self._voucher:
            headers["x-service-token"] = self._voucher()
        for name, variable in (("x-openstack-request-id", ids.request_id), ("traceparent", ids.traceparent)):
            if value := variable.get():
                headers[name] = value
        return headers


def _is_spent(options: dict[str, Any]) -> bool:
    """Whether the body was a stream, which can be sent once."""
    return isinstance(options.get("content"), Iterator)


def _good(answer: httpx.Response) -> httpx.Response:
    if not answer.is_error:
        return answer
    kind = MEANING.get(answer.status_code, Unavailable if answer.status_code >= 500 else PlatformError)
    raise kind(_message(answer), status_seen=answer.status_code, path=answer.request.url.path)


def _message(answer: httpx.Response) -> str:
    """The sentence alone: the image service ends its own with what stood in a page, as Glance does."""
    try:
        body = answer.json()
        inner = next(iter(body.values())) if isinstance(body, dict) and "message" not in body else body
        return str(inner["message"]).strip().removesuffix(END_OF_FAULT)[:500]
    except (ValueError, KeyError, TypeError, StopIteration):
        return f"{answer.request.url.host} answered {answer.status_code}"
