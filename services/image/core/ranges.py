"""Parts of an image's bytes, as requests name them.  Words: RFC 9110, sections 14.2 and 14.4."""

from __future__ import annotations

import re
from dataclasses import dataclass

from common.errors import InvalidInput, PlatformError

_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")
_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19})")


class RangeNotSatisfiable(PlatformError):
    """The image has no such bytes, or does not wait for them."""

    status, code = 416, "range.not.satisfiable"


def wanted_part(header: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte that a Range header asks for; None for all of them.  RangeNotSatisfiable

    Several ranges, other units and nonsense mean the whole, as RFC 9110 (14.2) allows.
    """
    if header is None or not (found := _RANGE.fullmatch(header.strip())) or found[0] == "bytes=-":
        return None
    start, end = found.groups()
    first = int(start) if start else max(size - int(end), 0)
    last = min(int(end), size - 1) if start and end else size - 1
    if start and end and int(end) < first:
        return None
    if first >= size or (not start and int(end) == 0):
        raise RangeNotSatisfiable(f"The image has {size} bytes; the range asked for lies outside of them")
    return first, last


@dataclass(frozen=True, slots=True)
class Part:
    """What one request of an upload brings: bytes `first` to `last` of `total`."""

    first: int
    last: int
    total: int

    @property
    def size(self) -> int:
        return self.last - self.first + 1

    @classmethod
    def read(cls, header: str, length: int | None) -> Part:
        """From a Content-Range header, and the length of the body if that is told.  InvalidInput"""
        if not (found := _CONTENT_RANGE.fullmatch(header.strip())):
            raise InvalidInput("Content-Range must be 'bytes FIRST-LAST/TOTAL', with the total known from the start")
        part = cls(*map(int, found.groups()))
        if not part.first <= part.last < part.total:
            raise InvalidInput("Content-Range names bytes that there cannot be")
        if length is not None and length != part.size:
            raise InvalidInput(f"The body has {length} bytes, Content-Range names {part.size}")
        return part
