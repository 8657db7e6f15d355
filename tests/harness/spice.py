"""The first words of a SPICE client, as the protocol's link stage has them."""

from __future__ import annotations

from struct import pack

MAIN, DISPLAY, INPUTS, CURSOR, USB = 1, 2, 3, 4, 9


def link(kind: int = MAIN, session: int = 0) -> bytes:
    """A client without capabilities that wants this channel."""
    wanted = pack("<IBBIII", session, kind, 0, 0, 0, 18)
    return pack("<4sIII", b"REDQ", 2, 2, len(wanted)) + wanted
