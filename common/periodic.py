"""Work that a process repeats: heartbeats, polling, cleaning.  One thread each, stopped at once when asked."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from common.errors import PlatformError

log = logging.getLogger(__name__)


class Periodic:
    """Calls `work` every `every_s` seconds, and soon after `nudge`; an error is logged and the next round comes."""

    def __init__(self, name: str, work: Callable[[], object], *, every_s: float, at_once: bool = True) -> None:
        self._name, self._work, self._every_s, self._at_once = name, work, every_s, at_once
        self._wake, self._over = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def nudge(self) -> None:
        self._wake.set()

    def stop(self) -> None:
        """Returns when the round that is under way has ended, or after 10 s."""
        self._over = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        if not self._at_once:
            self._rest()
        while not self._over:
            self._round()
            self._rest()

    def _rest(self) -> None:
        self._wake.wait(self._every_s)
        self._wake.clear()

    def _round(self) -> None:
        try:
            self._work()
        except PlatformError as error:
            log.warning("periodic work failed", extra={"work": self._name, "why": error.message, **error.facts})
        except Exception:
            log.exception("periodic work failed", extra={"work": self._name})
