"""Tells the control plane of guests that changed by themselves: the newest state of each, until it is heard."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.bus.bus import Bus
from common.clock import utc_now
from common.errors import Conflict, NotFound, PlatformError, Unavailable
from services.compute.agent.host import Host
from services.compute.contract import GuestChanged
from services.compute.core.guests import PowerState

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
LOOK_AGAIN_S = 1.5  # at a guest whose server something is being done to


@dataclass(frozen=True, slots=True)
class _Guest:
    host: str
    server_id: UUID


class Changes:
    """One per process.  Bounded by the number of guests: a newer change of a guest replaces the one that waits."""

    def __init__(self, bus: Bus, *, now: Callable[[], datetime] = utc_now) -> None:
        self._bus, self._now = bus, now
        self._waiting: dict[_Guest, GuestChanged] = {}
        self._hosts: dict[str, Host] = {}
        self._busy: set[_Guest] = set()
        self._lock = threading.Lock()
        self._wake, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="guest-changes", daemon=True)

    def watch(self, host: Host) -> None:
        """Hear of this host's guests from now on."""

        def changed(server_id: UUID, state: PowerState | None) -> None:
            if not host.is_at_work_on(server_id):
                self._saw(host, server_id, state)

        self._hosts[host.name] = host
        host.hypervisor.watch(changed)

    def gone(self, host: Host, server_id: UUID) -> None:
        """A guest that should be on this host is not."""
        self._saw(host, server_id, None)

    def restarted(self, host: Host, server_id: UUID, state: PowerState) -> None:
        """A guest runs again on this host, which had been restarted."""
        self._put(GuestChanged(host=host.name, server_id=server_id, power_state=state, at=self._now(), restarted=True))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """What is still waiting is found by the next comparison."""
        self._over.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=12)

    def look_again(self) -> None:
        """At guests whose servers something was being done to: how they are now counts."""
        with self._lock:
            busy, self._busy = self._busy, set()
        for guest in busy:
            host = self._hosts[guest.host]
            try:
                self._saw(host, guest.server_id, host.hypervisor.state(guest.server_id))
            except NotFound:
                self._saw(host, guest.server_id, None)
            except PlatformError:
                self._later(guest)

    def _later(self, guest: _Guest) -> None:
        with self._lock:
            self._busy.add(guest)

    def _saw(self, host: Host, server_id: UUID, state: PowerState | None) -> None:
        at, cause = self._now(), host.hypervisor.cause(server_id)
        self._put(GuestChanged(host=host.name, server_id=server_id, power_state=state, at=at, cause=cause))

    def _put(self, change: GuestChanged) -> None:
        guest = _Guest(change.host, change.server_id)
        with self._lock:
            older = self._waiting.get(guest)
            if older is not None and older.restarted:  # libvirt tells of the same start, a moment later
                change = change.model_copy(update={"restarted": True})
            self._waiting[guest] = change
        self._wake.set()

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._over.is_set():
            self._wake.wait(LOOK_AGAIN_S if self._busy else None)
            self._wake.clear()
            self.look_again()
            if self.send_waiting():
                pause_s = FIRST_PAUSE_S
            else:
                self._over.wait(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                self._wake.set()

    def send_waiting(self) -> bool:
        """Tell what waits; False if something still does."""
        with self._lock:
            waiting = list(self._waiting.items())
        return all(self._send(guest, change) for guest, change in waiting)

    def _send(self, guest: _Guest, change: GuestChanged) -> bool:
        try:
            self._bus.call(change)
        except Unavailable:
            return False
        except Conflict:
            if guest.host in self._hosts:
                self._later(guest)
        except PlatformError as error:
            log.warning("change not taken", extra={"server_id": str(guest.server_id), "why": error.message})
        with self._lock:
            newest = self._waiting.get(guest)
            if newest is change:
                del self._waiting[guest]
            elif newest is not None and change.restarted:  # that much is told now
                self._waiting[guest] = newest.model_copy(update={"restarted": False})
        return True
