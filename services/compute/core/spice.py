"""How a SPICE connection begins: the one message in which a client says what it wants.

A screen by SPICE is several connections: the main one begins a session, further ones (display, inputs, cursor) name it.
Words and numbers: SPICE protocol, "Link stage".
"""

from __future__ import annotations

from struct import Struct

from common.errors import InvalidInput

# fmt: off
LINK = Struct("<4s3I" "IBB")  # magic, major, minor, size of what follows; session (0: a new one), channel's type, its number
# fmt: on
MAGIC, MAJOR = b"REDQ", 2
MAIN, DISPLAY, INPUTS, CURSOR = 1, 2, 3, 4
LONGEST_LINK = 4096


def begins_session(link: bytes) -> bool:
    """True for a new session's main connection, False for a further one.  InvalidInput for anything else"""
    if not LINK.size <= len(link) <= LONGEST_LINK:
        raise InvalidInput("That is no beginning of SPICE")
    magic, major, _, _, session, kind, _ = LINK.unpack_from(link)
    if magic != MAGIC or major != MAJOR:
        raise InvalidInput("That is no beginning of SPICE")
    if session == 0 and kind == MAIN:
        return True
    if session != 0 and kind in (DISPLAY, INPUTS, CURSOR):
        return False
    raise InvalidInput("No guest here has such a SPICE channel")
