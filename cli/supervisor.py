"""Starts processes again when they die, where no service manager does (a machine without systemd)."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field

from cli.distributed_processes import SUPERVISOR, Process, pid_file, plan, start
from cli.places import Places
from cli.running import Running, remember, remembered
from common import log as logs

log = logging.getLogger("supervisor")

LOOK_EVERY_S = 0.2
YOUNG_S = 10.0  # who dies sooner than this is given more and more time before the next try
BACKOFF_S = (0.0, 0.5, 1.0, 2.0, 5.0)


@dataclass
class Watched:
    """One process under watch."""

    process: Process
    child: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    deaths_in_a_row: int = 0
    start_at: float = field(default_factory=time.monotonic)

    def look(self, places: Places) -> None:
        """Start it if it does not run and its pause is over."""
        if self.child is not None:
            if self.child.poll() is None:
                return
            self._died(self.child.returncode)
        if remembered(pid_file(places, self.process.name)) is None and time.monotonic() >= self.start_at:
            self.child, self.started_at = start(places, self.process), time.monotonic()

    def _died(self, status: int) -> None:
        now = time.monotonic()
        self.deaths_in_a_row = self.deaths_in_a_row + 1 if now - self.started_at < YOUNG_S else 0
        pause_s = BACKOFF_S[min(self.deaths_in_a_row, len(BACKOFF_S) - 1)]
        self.child, self.start_at = None, now + pause_s
        log.warning("process died", extra={"which": self.process.name, "exit": status, "again_in_s": pause_s})


def run(places: Places) -> None:
    """Watch until SIGTERM.  The processes go on; whoever ends the supervisor ends them after it."""
    logs.start(form="text")
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    myself = Running.of(os.getpid())
    assert myself is not None
    remember(pid_file(places, SUPERVISOR), myself)
    watched = [Watched(process) for process in plan(places)]
    while not over.wait(LOOK_EVERY_S):
        for one in watched:
            one.look(places)
