"""Tell when guests change.

libvirt's events are hints: they say which guest to look at, never what is true.  After a reconnect, and now and then, all
guests are looked at, because events are lost while nobody listens.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from uuid import UUID

import libvirt

from common.errors import NotFound, PlatformError
from services.compute.core.guests import GuestFound, PowerState
from services.compute.core.hypervisors import GuestWatcher

log = logging.getLogger(__name__)

POLL_S = 15.0


class _Everything:
    """Look at all guests."""


class _End:
    """Look no more."""


class Watching:
    def __init__(self, state: Callable[[UUID], PowerState], guests: Callable[[], list[GuestFound]]) -> None:
        """`state` raises NotFound for guests that aren't there or aren't ours."""
        self._state = state
        self._guests = guests
        self._known: dict[UUID, PowerState] = {}
        self._quiet: set[UUID] = set()
        self._lock = Lock()
        self._hints: SimpleQueue[UUID | _Everything | _End] = SimpleQueue()
        self._watcher: GuestWatcher | None = None
        self._registered: int | None = None

    def listen(self, connection: libvirt.virConnect) -> None:
        """Take the events of a new connection; what happened before it is looked up."""
        kind = libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE
        self._registered = connection.domainEventRegisterAny(None, kind, self._on_event, None)
        self._hints.put(_Everything())

    def leave(self, connection: libvirt.virConnect) -> None:
        """Take no more events; a connection with listeners would never be closed."""
        registered, self._registered = self._registered, None
        if registered is not None:
            connection.domainEventDeregisterAny(registered)

    def start(self, watcher: GuestWatcher) -> None:
        """From now on `watcher` is told of changes; the state at this moment is not one."""
        first = self._watcher is None
        if first:
            self._known = {found.server_id: found.power_state for found in self._guests()}
        self._watcher = watcher
        if first:
            Thread(target=self._run, name="guest changes", daemon=True).start()

    def stop(self) -> None:
        self._hints.put(_End())

    @contextmanager
    def quiet(self, server_id: UUID) -> Iterator[None]:
        """Tell nothing of this guest meanwhile; what it is afterwards is told if that is news."""
        with self._lock:
            self._quiet.add(server_id)
        try:
            yield
        finally:
            with self._lock:
                self._quiet.discard(server_id)
            self._hints.put(server_id)

    def _on_event(self, _connection: libvirt.virConnect, domain: libvirt.virDomain, *_about: object) -> None:
        self._hints.put(UUID(bytes=domain.UUID()))  # libvirt's own thread: nothing here may ask libvirt

    def _run(self) -> None:
        while True:
            try:
                hint = self._hints.get(timeout=POLL_S)
            except Empty:
                hint = _Everything()
            if isinstance(hint, _End):
                return
            try:
                self._look(hint)
            except PlatformError as error:  # asked again after the reconnect, or at the next poll
                log.debug("guests can't be looked at", extra={"error": error.message})

    def _look(self, hint: UUID | _Everything) -> None:
        with self._lock:
            quiet = set(self._quiet)  # what is seen of these from here on is not to be told, even if told later
        if isinstance(hint, UUID):
            changed = {hint: self._now(hint)} if hint not in quiet else {}
        else:
            found = {guest.server_id: guest.power_state for guest in self._guests()}
            changed = {server_id: found.get(server_id) for server_id in self._known.keys() | found.keys()}
        for server_id, now in changed.items():
            if server_id not in quiet:
                self._compare(server_id, now)

    def _now(self, server_id: UUID) -> PowerState | None:
        try:
            return self._state(server_id)
        except NotFound:
            return None

    def _compare(self, server_id: UUID, now: PowerState | None) -> None:
        with self._lock:
            if server_id in self._quiet or self._known.get(server_id) == now:
                return
            if now is None:
                del self._known[server_id]
            else:
                self._known[server_id] = now
        if self._watcher:
            try:
                self._watcher(server_id, now)
            except Exception:
                log.exception("a guest's change could not be told", extra={"server_id": str(server_id)})
