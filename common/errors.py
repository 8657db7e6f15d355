"""What can go wrong, as the whole platform says it.

    PlatformError [500]
      InvalidInput [400]     Unauthenticated [401]     NotFound [404]     TooLarge [413]
      Forbidden    [403]   > OverQuota
      Conflict     [409]   > StaleGeneration, NoCapacity
      Unsupported  [415]     TooMany         [429]
      Unavailable  [503]   > DeadlineExceeded, HostFailed

The message is for whoever asked; `facts` are for the log.  Only a service's `api/faults.py` knows how an
error looks on the wire.
"""

from __future__ import annotations

from typing import Any, ClassVar


class PlatformError(Exception):
    """Something of ours failed; the caller can only try again or ask an operator."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "platform.error"

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts


class InvalidInput(PlatformError):
    """The request can never succeed as it is written."""

    status, code = 400, "invalid.input"


class Unauthenticated(PlatformError):
    """Nobody we know, or no longer."""

    status, code = 401, "unauthenticated"


class Forbidden(PlatformError):
    """Known, and not allowed; `NotFound` where even the existence is not theirs to know."""

    status, code = 403, "forbidden"


class OverQuota(Forbidden):
    """Allowed, but the project has used up what it may have."""

    code = "over.quota"


class NotFound(PlatformError):
    """No such thing, or none that this caller may see."""

    status, code = 404, "not.found"


class Conflict(PlatformError):
    """Right request, wrong moment: the thing's state does not allow it."""

    status, code = 409, "conflict"


class StaleGeneration(Conflict):
    """The writer had not seen the newest generation; read again and retry."""

    code = "stale.generation"


class NoCapacity(Conflict):
    """No host passes; the message says which rule removed which hosts."""

    code = "no.capacity"


class Silent(Conflict):
    """Whoever has to do it does not answer yet, and may soon."""

    code = "silent"


class TooLarge(PlatformError):
    """More bytes, or deeper nesting, than is taken."""

    status, code = 413, "too.large"


class TooMany(PlatformError):
    """Too often; `facts["retry_after_s"]` says when it is worth another try."""

    status, code = 429, "too.many"


class Unsupported(PlatformError):
    """A media type, or a content, that is not taken."""

    status, code = 415, "unsupported"


class Unavailable(PlatformError):
    """Not now: a part is down or slow.  Trying the same again later may succeed."""

    status, code = 503, "unavailable"


class DeadlineExceeded(Unavailable):
    """No answer in time; whether the work was done is unknown."""

    code = "deadline.exceeded"


class HostFailed(Unavailable):
    """This host can't do it; another one may."""

    code = "host.failed"


def _kinds(kind: type[PlatformError]) -> dict[str, type[PlatformError]]:
    found = {kind.code: kind}
    for child in kind.__subclasses__():
        found |= _kinds(child)
    return found


KINDS: dict[str, type[PlatformError]] = _kinds(PlatformError)
"""Error code -> class: how an error crosses the bus (`common.bus`) and is kept with a saga."""
