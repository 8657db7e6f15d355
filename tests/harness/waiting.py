"""Wait for a condition with a deadline; never sleep and hope.

The deadline is for what went wrong: it costs nothing else, so it is long enough for a machine that does much besides.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], *, within_s: float = 90, every_s: float = 0.05, what: str = "the condition") -> T:
    """What `condition` returns as soon as that is true.  AssertionError after `within_s`."""
    pause, deadline = threading.Event(), time.monotonic() + within_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {within_s:g} s")
        pause.wait(every_s)
    return found
