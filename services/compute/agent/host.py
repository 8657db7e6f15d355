"""One host in the agent's care: its hypervisor, its images, and what the agent remembers of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition
from uuid import UUID

from common.bus.bus import must_be_in_time
from common.errors import Unavailable
from services.compute.agent.images import HostImages
from services.compute.core.hypervisors import Hypervisor
from services.compute.drivers.turns import Turns


@dataclass(slots=True)
class Host:
    name: str
    hypervisor: Hypervisor
    images: HostImages
    _turns: Turns = field(default_factory=Turns)
    _at_work: set[UUID] = field(default_factory=set)
    _changed: Condition = field(default_factory=Condition)
    _is_closing: bool = False

    @contextmanager
    def turn(self, server_id: UUID) -> Iterator[Hypervisor]:
        """The hypervisor, for one thing at a time with this guest; other guests don't wait.

        A turn that comes after the caller gave up is not taken: its saga may have undone things since.  DeadlineExceeded
        """
        with self._turns.of(server_id):
            must_be_in_time()
            self._begin(server_id)
            try:
                yield self.hypervisor
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
        self.hypervisor.close()

    def is_at_work_on(self, server_id: UUID) -> bool:
        """Whether a change of this guest is our own doing, whose outcome the caller learns from the answer."""
        with self._changed:
            return server_id in self._at_work
