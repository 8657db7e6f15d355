"""What the steps of this service's sagas work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy.event import listen
from sqlalchemy.orm import Session

from common.bus.bus import Bus
from common.bus.messages import Call
from common.clock import utc_now
from common.db.database import Database
from common.errors import HostFailed
from common.saga.saga import Run
from services.compute.contract import ServerChanged
from services.compute.db.hosts import Hosts
from services.compute.db.tables import ServerRow

R = TypeVar("R")


KNOWN_FOR = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class _Known:
    """Whether a host was up a moment ago."""

    is_up: bool
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What an operator set and steps heed."""

    host_down_s: float = 60  # no heartbeat for so long: down
    grace_s: float = 20  # after this worker was deaf: time for heartbeats to come in again
    config_drive_always: bool = True
    stop_patience_s: float = 60
    resize_confirm_window_s: float = 0  # a resize is confirmed by itself after so long; 0: never
    reclaim_after_s: float = 0  # a deleted server can be restored for so long; 0: it is gone at once


@dataclass(frozen=True, slots=True)
class Kit:
    database: Database
    bus: Bus
    rules: Rules = field(default_factory=Rules)
    now: Callable[[], datetime] = utc_now
    hears_since: Callable[[], datetime | None] = lambda: None  # since when this worker hears; None: always did
    _known: dict[str, _Known] = field(default_factory=dict)

    def call(self, call: Call[R], host: str, *, timeout_s: float | None = None) -> R:
        """The host's answer; HostFailed at once if it is down."""
        if self.is_down(host):
            raise HostFailed(f"Host {host} is down", host=host)
        return self.bus.call(call, host=host, timeout_s=timeout_s)

    def is_down(self, host: str) -> bool:
        """Whether it was not heard of for too long; while we could not have heard it, nobody is down."""
        if self.is_new_to_hearing():
            return False
        known = self._known.get(host)
        if known is None or known.at + KNOWN_FOR < self.now():
            with self.database.reading() as session:
                is_up = Hosts(session).is_up(host, seen_after=self.seen_after())
            known = self._known[host] = _Known(is_up, self.now())
        return not known.is_up

    def is_new_to_hearing(self) -> bool:
        since = self.hears_since()
        return since is not None and self.now() < since + timedelta(seconds=self.rules.grace_s)

    def seen_after(self) -> datetime:
        """Hosts heard of since then are up."""
        return self.now() - timedelta(seconds=self.rules.host_down_s)

    def tell(self, run: Run[Any], server: ServerRow) -> None:
        """Let everybody know how the server is now, once that is committed."""
        event = _changed(server)
        run.then(lambda: self.bus.tell(event))

    def tell_after(self, session: Session, server: ServerRow) -> None:
        """The same for what no saga did."""
        event = _changed(server)
        listen(session, "after_commit", lambda _: self.bus.tell(event), once=True)


def _changed(server: ServerRow) -> ServerChanged:
    return ServerChanged(
        server_id=server.id,
        project_id=server.project_id,
        vm_state=server.vm_state,
        task_state=server.task_state,
        power_state=server.power_state,
        host=server.host,
    )
