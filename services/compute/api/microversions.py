"""Which microversion a request asks for.  Rules: Compute API guide, "Microversions"."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from common.errors import InvalidInput, PlatformError

OLDEST, NEWEST = 1, 104  # minor numbers; the major one is 2
STANDARD, LEGACY = "OpenStack-API-Version", "X-OpenStack-Nova-API-Version"
VARY = f"{STANDARD}, {LEGACY}"

_FORM = re.compile(r"([1-9]\d{0,8})\.(0|[1-9]\d{0,8})")


class NotAcceptable(PlatformError):
    """A microversion that this release does not have."""

    status, code = 406, "not.acceptable"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the headers say; `text` is echoed, and None when they can't be read."""

    minor: int = OLDEST
    text: str | None = f"2.{OLDEST}"
    error: PlatformError | None = None


def asked_by(standard: Iterable[str], legacy: Iterable[str]) -> Asked:
    """From the values of the two headers; the standard one wins, and without either it is the oldest version."""
    given = _for_compute(standard)
    if given is None:
        given = next((value.strip() for value in legacy if value.strip()), None)
    return Asked() if given is None else _read(given)


def _for_compute(values: Iterable[str]) -> str | None:
    """The last `compute X.Y` among `service version, service version`."""
    found = None
    for value in values:
        for part in value.split(","):
            service, _, version = part.strip().partition(" ")
            if service.lower() == "compute":
                found = version.strip()
    return found


def _read(given: str) -> Asked:
    if given == "latest":
        return Asked(NEWEST, f"2.{NEWEST}")
    if (match := _FORM.fullmatch(given)) is None:
        shown = given if len(given) <= 32 else given[:32] + "…"
        error = InvalidInput(f"API Version String {shown} is of invalid format. Must be of format MajorNum.MinorNum.")
        return Asked(text=None, error=error)
    major, minor = int(match[1]), int(match[2])
    if major != 2 or not OLDEST <= minor <= NEWEST:
        message = f"Version {given} is not supported by the API. Minimum is 2.{OLDEST} and maximum is 2.{NEWEST}."
        return Asked(text=given, error=NotAcceptable(message))
    return Asked(minor, given)
