"""Parts in one process: start in order, serve, and stop in reverse when told to."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import httpx
import pytest

from cli import parts, servers
from common.bus.memory import MemoryBus
from common.errors import InvalidInput, Unavailable
from common.process import Part, Surroundings
from tests.conftest import a_platform, free_port
from tests.unit.gateway.running import Upstream


def surroundings() -> Surroundings:
    return Surroundings(platform=a_platform(), settings_file=None, bus=MemoryBus())


def test_parts_start_in_order_answer_and_stop_in_reverse() -> None:
    done: list[str] = []
    listen = f"127.0.0.1:{free_port()}"

    def part(name: str, at: str | None = None) -> Part:
        return Part(
            name=name,
            app=Upstream() if at else None,
            listen=at,
            starts=(lambda: done.append(f"start {name}"),),
            stops=(lambda: done.append(f"stop {name}"),),
        )

    def ready() -> None:
        done.append(str(httpx.get(f"http://{listen}/x").json()["path"]))
        os.kill(os.getpid(), signal.SIGTERM)

    servers.run([part("a"), part("b", listen), part("c")], surroundings(), ready=ready)

    assert done == ["start a", "start b", "start c", "/x", "stop c", "stop b", "stop a"]


def test_a_part_that_cannot_start_stops_those_before_it() -> None:
    stopped = threading.Event()

    def fail() -> None:
        raise Unavailable("no")

    with pytest.raises(Unavailable, match="no"):
        servers.run([Part(name="a", stops=(stopped.set,)), Part(name="b", starts=(fail,))], surroundings())

    assert stopped.is_set()


def test_an_address_that_somebody_else_has_is_named() -> None:
    listen = f"127.0.0.1:{free_port()}"
    app = Upstream()

    with pytest.raises(Unavailable, match=listen):
        servers.run([Part(name="a", app=app, listen=listen), Part(name="b", app=app, listen=listen)], surroundings())


def test_an_unknown_part_is_refused_with_the_names_of_those_there_are() -> None:
    with pytest.raises(InvalidInput, match="compute-worker"):
        parts.build("nova", surroundings())


def test_every_part_is_where_the_table_says() -> None:
    import importlib

    for module, function in parts.PARTS.values():
        assert callable(getattr(importlib.import_module(module), function))


def test_a_settings_file_is_needed_to_run_parts_apart(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="Cannot read"):
        parts.surroundings_of(tmp_path / "none.toml")
