"""Arrivals of uploads in ranges, between two of them: open, and hashed so far."""

from __future__ import annotations

import threading
from collections.abc import Collection
from uuid import UUID

from services.image.drivers.store.files import Arrival

MOST_PAUSED = 32  # open files of uploads that wait for their next range; the others are read again


class Paused:
    """Thread-safe."""

    def __init__(self) -> None:
        self._arrivals: dict[UUID, Arrival] = {}
        self._lock = threading.Lock()

    def put(self, upload_id: UUID, arrival: Arrival) -> None:
        with self._lock:
            self._arrivals[upload_id] = arrival
            excess = [next(iter(self._arrivals))] if len(self._arrivals) > MOST_PAUSED else []
            dropped = [self._arrivals.pop(one) for one in excess]
        for one in dropped:
            one.close()

    def take(self, upload_id: UUID) -> Arrival | None:
        with self._lock:
            return self._arrivals.pop(upload_id, None)

    def drop_all_but(self, alive: Collection[UUID]) -> None:
        with self._lock:
            over = [self._arrivals.pop(one) for one in [*self._arrivals] if one not in alive]
        for one in over:
            one.close()

    def ids(self) -> list[UUID]:
        with self._lock:
            return [*self._arrivals]
