"""What goes wrong, and how long things take, on a simulated host."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Event, Lock


@dataclass(frozen=True, slots=True)
class Fault:
    error: Exception | None  # None: hang instead
    afterwards: bool  # fail when the work is done already: the answer is lost, not the work


@dataclass(slots=True)
class Faults:
    """One host's plan of trouble.  Operations are named like the methods of `Hypervisor`."""

    takes_s: Mapping[str, float] = field(default_factory=dict)
    _planned: dict[str, deque[Fault]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _released: Event = field(default_factory=Event)

    def fail_next(self, operation: str, error: Exception, *, afterwards: bool = False) -> None:
        """The next `operation` raises `error`, before or after it has done its work."""
        self._plan(operation, Fault(error, afterwards))

    def hang_next(self, operation: str) -> None:
        """The next `operation` blocks until `release`, then goes on as if nothing had been."""
        self._released.clear()
        self._plan(operation, Fault(None, False))

    def release(self) -> None:
        """Let everything that hangs go on."""
        self._released.set()

    def begin(self, operation: str) -> Exception | None:
        """Take the operation's time and trouble; an error to raise once the work is done."""
        if takes_s := self.takes_s.get(operation, 0):
            Event().wait(takes_s)
        fault = self._due(operation)
        if fault is None:
            return None
        if fault.error is None:
            self._released.wait()
            return None
        if fault.afterwards:
            return fault.error
        raise fault.error

    def _plan(self, operation: str, fault: Fault) -> None:
        with self._lock:
            self._planned.setdefault(operation, deque()).append(fault)

    def _due(self, operation: str) -> Fault | None:
        with self._lock:
            waiting = self._planned.get(operation)
            return waiting.popleft() if waiting else None
