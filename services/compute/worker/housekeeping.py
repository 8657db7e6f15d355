"""What the control plane does now and then: its own heartbeat, forgetting what is old, putting right what is wrong."""

from __future__ import annotations

import logging
import socket
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from common.saga.saga import Saga
from common.saga.store import Sagas
from services.compute.core.faults import a_fault
from services.compute.core.states import TaskState, VmState
from services.compute.db.consoles import Consoles
from services.compute.db.hosts import Hosts
from services.compute.db.migration_records import MigrationRecords
from services.compute.db.placement import Placement
from services.compute.db.server_states import ServerStates
from services.compute.db.tables import SAGAS, ServerRow
from services.compute.sagas import CONFIRM_RESIZE, DELETE_SERVER
from services.compute.sagas.kit import Kit
from services.compute.sagas.shelve_server import begin_offload

log = logging.getLogger(__name__)

BINARIES = ("nova-conductor", "nova-scheduler")  # names that clients look for; one process plays both
ABANDONED_AFTER = timedelta(minutes=5)


@dataclass(slots=True)
class Hearing:
    """Since when this worker hears what hosts tell: before that, silence means nothing."""

    since: datetime | None = None
    _is_deaf: bool = False

    def look(self, kit: Kit) -> None:
        """Call it every few seconds."""
        is_deaf = kit.bus.deaf_since() is not None
        if is_deaf or self._is_deaf or self.since is None:
            self.since = kit.now()
        self._is_deaf = is_deaf


@dataclass(frozen=True, slots=True)
class Housekeeping:
    kit: Kit
    hearing: Hearing
    keep: timedelta
    keep_usage: timedelta = timedelta(days=400)
    host: str = field(default_factory=socket.gethostname)

    def beat(self) -> None:
        """This process lives, and hears or not."""
        self.hearing.look(self.kit)
        with self.kit.database.transaction() as session:
            for binary in BINARIES:
                Hosts(session).seen(self.host, binary, zone="internal", at=self.kit.now())

    def tidy(self) -> None:
        """Forget what is old; repair what a bug or a person's hand in the database left."""
        before = self.kit.now() - self.keep
        with self.kit.database.transaction() as session:
            Sagas(session, SAGAS).forget(before)
            ServerStates(session).forget(before)
            MigrationRecords(session).forget(before)
            Consoles(session).forget(self.kit.now())
            ServerStates(session).forget_usage(self.kit.now() - self.keep_usage)
        with self.kit.database.transaction() as session:
            self._release_claims(session)
            self._end_abandoned(session)
            self._reclaim(session)
            self._confirm(session)
            self._offload(session)

    def give_up(self, session: Session, server_id: UUID, why: str) -> None:
        """Something was to be done to the server, and nobody can do it."""
        server = ServerStates(session).find(server_id)
        if server is not None and server.task_state != TaskState.DELETING:
            self._end(session, server, why)

    def _offload(self, session: Session) -> None:
        """Take shelved servers off their hosts that were there long enough."""
        after_s = self.kit.rules.shelved_offload_s
        if after_s < 0:
            return
        before = self.kit.now() - timedelta(seconds=after_s)
        for server in ServerStates(session).waiting(VmState.SHELVED, before=before):
            begin_offload(session, server, self.kit)

    def _confirm(self, session: Session) -> None:
        """Keep the new size of servers whose owners had long enough to look."""
        now, window_s = self.kit.now(), self.kit.rules.resize_confirm_window_s
        if not window_s:
            return
        for server in ServerStates(session).waiting(VmState.RESIZED, before=now - timedelta(seconds=window_s)):
            server.task_state, server.updated_at = TaskState.CONFIRMING, now
            self._begin(session, CONFIRM_RESIZE, server)

    def _reclaim(self, session: Session) -> None:
        """Delete what was deleted softly and nobody wanted back in time."""
        now, after_s = self.kit.now(), self.kit.rules.reclaim_after_s
        for server in ServerStates(session).waiting(VmState.SOFT_DELETED, before=now - timedelta(seconds=after_s)):
            server.task_state, server.updated_at = TaskState.DELETING, now
            self._begin(session, DELETE_SERVER, server)

    def _begin(self, session: Session, saga: Saga[Any], server: ServerRow) -> None:
        Sagas(session, SAGAS).start(
            saga,
            saga.params(server_id=server.id),
            resource_id=server.id,
            project_id=server.project_id,
            user_id=server.user_id,
            at=self.kit.now(),
        )

    def _release_claims(self, session: Session) -> None:
        placement, states = Placement(session), ServerStates(session)
        idle = set(placement.consumers_without(states.all_ids()))
        for server_id in idle - states.with_saga(idle):
            placement.release(server_id)
            log.warning("claim without a server released", extra={"server_id": str(server_id)})

    def _end_abandoned(self, session: Session) -> None:
        for server in ServerStates(session).abandoned(before=self.kit.now() - ABANDONED_AFTER):
            log.warning("abandoned server put into error", extra={"server_id": str(server.id)})
            was = server.task_state or server.vm_state
            self._end(session, server, f"Nothing was at work on this server any more while it was '{was}'")

    def _end(self, session: Session, server: ServerRow, why: str) -> None:
        now = self.kit.now()
        server.fault = a_fault(why, at=now)
        server.vm_state, server.task_state, server.updated_at = VmState.ERROR, None, now
        self.kit.tell_after(session, server)
