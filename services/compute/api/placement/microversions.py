"""Which microversion a request asks for.  Rules: Placement API guide, "Microversions"."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from common.errors import InvalidInput, PlatformError
from services.compute.api.microversions import NotAcceptable

OLDEST, NEWEST = 0, 39  # minor numbers; the major one is 1
HEADER = "openstack-api-version"

_FORM = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Asked:
    """`minor` is None when the header cannot be read, and then no version is answered."""

    minor: int | None = OLDEST
    error: PlatformError | None = None

    @property
    def text(self) -> str | None:
        return None if self.minor is None else f"placement 1.{self.minor}"


def asked_by(values: Iterable[str]) -> Asked:
    """From the values of the header; without one it is the oldest version."""
    given = None
    for value in values:
        for part in value.split(","):
            service, _, version = part.strip().partition(" ")
            if service.lower() == "placement":
                given = version.strip()
    if given is None:
        return Asked()
    if given == "latest":
        return Asked(NEWEST)
    if (match := _FORM.fullmatch(given)) is None:
        return Asked(None, InvalidInput(f"Invalid microversion: invalid version string: {given[:32]}"))
    major, minor = int(match[1]), int(match[2])
    if major != 1 or not OLDEST <= minor <= NEWEST:
        return Asked(None, NotAcceptable(f"Invalid microversion: Unacceptable version header: {given}"))
    return Asked(minor)
