"""One host in the agent's care: its hypervisor, its images, and what the agent remembers of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Condition
from uuid import UUID

from common.bus.bus import must_be_in_time
from common.errors import HostFailed, Unavailable
from common.fencing import Fences
from services.compute.agent.consoles import ConsoleDoor
from services.compute.agent.images import HostImages
from services.compute.agent.long_work import LongWork
from services.compute.core.hypervisors import Hypervisor
from services.compute.drivers.turns import Turns


@dataclass(slots=True)
class Host:
    name: str
    hypervisor: Hypervisor
    images: HostImages
    long_work: LongWork = field(default_factory=LongWork)
    consoles: ConsoleDoor = field(default_factory=ConsoleDoor)
    _fences: Fences = field(default_factory=Fences)
    _turns: Turns = field(default_factory=Turns)
    _at_work: set[UUID] = field(default_factory=set)
    _changed: Condition = field(default_factory=Condition)
    _is_closing: bool = False

    @contextmanager
    def turn(self, server_id: UUID) -> Iterator[Hypervisor]:
        """The hypervisor, for one thing at a time with this guest; other guests don't wait.

        A turn that comes after the caller gave up, or for a worker whose saga another one has, is not taken: things may
        have been undone since.  DeadlineExceeded, Conflict
        """
        with self._turns.of(server_id):
            must_be_in_time()
            self.must_be_newest(server_id)
            self._begin(server_id)
            try:
                yield self.hypervisor
            except OSError as error:
                raise HostFailed(f"The host's files fail it: {error.strerror}", said=str(error)) from error
            finally:
                with self._changed:
                    self._at_work.discard(server_id)
                    self._changed.notify_all()

    def _begin(self, server_id: UUID) -> None:
        with self._changed:
            if self._is_closing:
                raise Unavailable(f"The agent of host {self.name} is stopping")
            self._at_work.add(server_id)

    def close(self, *, patience_s: float = 20) -> None:
        """Begin nothing any more, and let what is under way end."""
        with self._changed:
            self._is_closing = True
            self._changed.wait_for(lambda: not self._at_work, patience_s)
        with suppress(Unavailable):
            self.long_work.close()
        self.hypervisor.close()

    def must_be_newest(self, server_id: UUID) -> None:
        """Conflict if it is asked for by a worker whose saga another one has gone on with."""
        self._fences.must_be_newest(server_id)

    def must_be_open(self) -> None:
        """Unavailable while it is closing: what takes long is not begun any more."""
        if self._is_closing:
            raise Unavailable(f"The agent of host {self.name} is stopping")

    def is_at_work_on(self, server_id: UUID) -> bool:
        """Whether a change of this guest is our own doing, whose outcome the caller learns from the answer."""
        with self._changed:
            return server_id in self._at_work
