"""What one transaction writes of one saga, however many steps it covers: at most three statements."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from common.saga.advance import Advance, Progress
from common.saga.store import Sagas


class Page:
    """Note each advance, then `write` once.

    A step that works outside has an event from its beginning on, so that people see it at work; local ones are over
    before anybody could look.
    """

    def __init__(self, progress: Progress, now: datetime) -> None:
        self._progress, self._now = progress, now
        self._changes: dict[str, Any] = {}
        self._ended: dict[str, Any] | None = None
        self._events: list[dict[str, Any]] = []
        self.has_ended = False

    def note(self, advance: Advance) -> bool:
        """Progress is where the advance leads; whether there is more to do at once."""
        progress = self._progress
        if advance.event is not None:
            self._note_end(advance.event)
        progress.take(advance)
        self._changes |= advance.changes
        goes_on = advance.due_at is None and not advance.is_end
        if goes_on:
            self._note_begin()
        else:
            self._changes |= {"claimed_by": None, "claimed_until": None}
        self._changes["step_began_at"] = progress.step_began_at
        self.has_ended = advance.is_end
        return goes_on

    def write(self, store: Sagas) -> None:
        run = self._progress.run
        if self._ended is not None:
            store.end_event(run.id, **self._ended)
        store.add_events(self._events)
        store.record(run.id, self._progress.generation, self._now, **self._changes)

    def _note_end(self, outcome: dict[str, Any]) -> None:
        ended = {"ended_at": self._now, **outcome}
        if self._progress.is_local:
            self._events.append(self._event() | ended)
        elif self._events and self._events[-1]["ended_at"] is None:  # begun on this very page
            self._events[-1] |= ended
        else:
            self._ended = ended

    def _note_begin(self) -> None:
        self._progress.step_began_at = self._now
        if not self._progress.is_local:
            self._events.append(self._event())

    def _event(self) -> dict[str, Any]:
        progress = self._progress
        return {
            "saga_id": progress.run.id,
            "step": progress.step.name,
            "is_undo": progress.is_undoing,
            "began_at": progress.step_began_at or self._now,
            **dict.fromkeys(("ended_at", "succeeded", "host", "message", "details")),
        }

    @classmethod
    def first(cls, progress: Progress, now: datetime) -> Page | None:
        """For a saga that was just claimed; None if its present step was begun by an earlier worker, or is local."""
        if progress.step_began_at is not None:
            return None
        page = cls(progress, now)
        page._note_begin()
        page._changes["step_began_at"] = now
        return None if progress.is_local else page
