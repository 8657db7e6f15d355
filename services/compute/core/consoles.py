"""Which consoles a guest has, and when they can be opened.  Words: Compute API reference, "Server consoles"."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from hashlib import sha256
from uuid import UUID

from common.errors import Conflict, InvalidInput
from services.compute.core.guests import PowerState


class ConsoleKind(StrEnum):
    VNC = "vnc"  # its screen and keyboard, as the bytes of RFB (RFC 6143)
    SPICE = "spice"  # the same screen and keyboard, as SPICE's several connections
    SERIAL = "serial"  # its first serial line


KINDS = {
    ("vnc", "novnc"): ConsoleKind.VNC,
    ("spice", "spice-html5"): ConsoleKind.SPICE,
    ("serial", "serial"): ConsoleKind.SERIAL,
}
"""(protocol, type) of the API -> what there is of it."""
DIRECT = ("spice", "spice-direct")  # a port of the host's to connect to: a guest's screen listens at none
PROTOCOLS = {protocol for protocol, _ in KINDS}
UNLESS_TOLD = (ConsoleKind.VNC, ConsoleKind.SERIAL)
"""What the guests of a host have that does not say what they have."""
WITH_POWER = (PowerState.RUNNING, PowerState.PAUSED)


def kind_of(protocol: str, console_type: str, offered: Collection[str]) -> ConsoleKind:
    """InvalidInput in OpenStack's words for what no guest has on a host that offers these."""
    asked = (protocol, console_type)
    found = KINDS.get(asked)
    if found is not None and found in offered:
        return found
    word = "Invalid" if found is None and protocol in PROTOCOLS and asked != DIRECT else "Unavailable"
    raise InvalidInput(f"{word} console type {console_type}.")


def must_be_on(server_id: UUID, power_state: int) -> None:
    """Conflict while there is no running machine to look into."""
    if power_state not in WITH_POWER:
        raise not_ready(server_id)


def not_ready(server_id: UUID) -> Conflict:
    return Conflict(f"Instance {server_id} is not ready")


def hash_of(token: str) -> str:
    """All that is kept of a token."""
    return sha256(token.encode(errors="replace")).hexdigest()
