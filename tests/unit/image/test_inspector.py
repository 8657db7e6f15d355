"""The processes that look into images, as their parent keeps them."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from common.errors import Unavailable
from services.image.drivers.inspect.inspector import Inspector
from tests.harness.waiting import until


@pytest.fixture
def hasty() -> Iterator[Inspector]:
    """Its processes end as soon as they have nothing to do."""
    made = Inspector(idle_s=0.01)
    yield made
    made.close()


def _pipes() -> set[str]:
    """Those that this process holds open."""
    found = set()
    for file in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(str(file.readlink()))
    return {one for one in found if one.startswith("pipe:")}


def test_processes_that_ended_for_want_of_work_leave_no_pipe_open(hasty: Inspector) -> None:
    others, before = set(threading.enumerate()), _pipes()

    for _ in range(3):
        hasty.wake()
        until(lambda: set(threading.enumerate()) <= others)  # each has a thread that waits for its end
    last = _pipes() - before

    assert len(last) <= 2


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE])
def test_a_machine_without_room_for_a_process_is_told_as_a_503_and_may_have_some_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    file = tmp_path / "image"
    file.write_bytes(b"some bytes")
    inspector, popen = Inspector(idle_s=60), subprocess.Popen
    before = _pipes()

    def refused(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with closing(inspector):
        monkeypatch.setattr(subprocess, "Popen", refused)
        inspector.wake()
        with pytest.raises(Unavailable, match="cannot be inspected just now"):
            inspector.inspect(file)
        left = _pipes() - before
        monkeypatch.setattr(subprocess, "Popen", popen)

        assert inspector.inspect(file).formats == {"raw"}
    assert left == set()


def test_a_process_without_a_thread_to_wait_for_its_end_is_ended_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, started = _pipes(), []

    class Watched(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            started.append(self)

    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with closing(Inspector(idle_s=60)) as inspector:
        monkeypatch.setattr(subprocess, "Popen", Watched)
        monkeypatch.setattr(threading.Thread, "start", refused)
        with pytest.raises(Unavailable):
            inspector.inspect(tmp_path / "image")

    assert [one.returncode for one in started] == [0]
    assert _pipes() == before
