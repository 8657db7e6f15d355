"""Leave to see a console, as a redeemed token gives it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.auth.callers import Caller
from services.compute.core.consoles import ConsoleKind


@dataclass(frozen=True, slots=True)
class Grant:
    """One console of one guest, for as long as the one who got it may."""

    server_id: UUID
    host: str
    launched_at: datetime | None  # with the host, which guest of the server it is
    kind: ConsoleKind
    caller: Caller
