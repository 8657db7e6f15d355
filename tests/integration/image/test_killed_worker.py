"""A process that dies while it imports an image: another one takes over when its lease is over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from common.saga.engine import Pace, SagaEngine
from services.image.db.tables import SAGAS as SAGA_TABLES
from services.image.drivers.inspect.inspector import Inspector
from services.image.main import build_tools
from services.image.sagas.import_image import SAGAS
from tests.harness.waiting import until
from tests.unit.image.world import World, a_world

DATA = os.urandom(1 << 20)
LEASE_S = 2.0

FIRST = """
import json, sys, threading
from common.bus.memory import MemoryBus
from common.process import Surroundings
from common.saga.engine import Pace, SagaEngine
from services.image.db.tables import SAGAS as SAGA_TABLES
from services.image.drivers.inspect.inspector import Inspector
from services.image.main import build_kit, build_tools
from services.image.sagas.import_image import SAGAS
from services.image.settings import ImageSettings
from tests.conftest import a_platform

options = json.loads(sys.argv[1])
settings = ImageSettings.read(None, service_password="not used here", **options)
surroundings = Surroundings(platform=a_platform(), settings_file=None, bus=MemoryBus())
kit = build_kit(settings, surroundings, Inspector(idle_s=5))
pace = Pace(threads=1, poll_s=0.1, lease_s=2)
SagaEngine(kit.database, SAGA_TABLES, SAGAS, build_tools(kit), worker="first", pace=pace).start()
threading.Event().wait()
"""


class Slow(BaseHTTPRequestHandler):
    """Gives half of the image, and the rest when it is told to."""

    go_on: ClassVar[threading.Event] = threading.Event()
    asked: ClassVar[int] = 0

    def do_GET(self) -> None:
        Slow.asked += 1
        self.send_response(200)
        self.send_header("content-length", str(len(DATA)))
        self.end_headers()
        self.wfile.write(DATA[: len(DATA) // 2])
        self.wfile.flush()
        self.go_on.wait(60)
        try:
            self.wfile.write(DATA[len(DATA) // 2 :])
        except OSError:
            return  # who asked is dead

    def log_message(self, format: str, *args: Any) -> None:
        """Not in the tests' output."""


@pytest.fixture
def site() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    Slow.go_on.set()
    server.shutdown()
    server.server_close()


def a_process(world: World) -> subprocess.Popen[bytes]:
    """Another process that serves the same images."""
    settings = world.kit.settings
    options = {
        "database_url": settings.database_url,
        "store": str(settings.store),
        "web_download_ports": settings.web_download_ports,
        "web_download_networks": settings.web_download_networks,
    }
    root = Path(__file__).parents[3]
    return subprocess.Popen([sys.executable, "-c", FIRST, json.dumps(options)], cwd=root)


def test_an_import_whose_process_is_killed_is_finished_by_another(
    tmp_path: Path, inspector: Inspector, site: int
) -> None:
    with a_world(tmp_path, inspector, web_download_ports=[site], web_download_networks=["127.0.0.1/32"]) as world:
        image_id = world.create()["id"]
        first = a_process(world)
        world.begin_import(image_id, "web-download", uri=f"http://127.0.0.1:{site}/image")
        try:
            until(lambda: Slow.asked == 1, what="the download's beginning")
        finally:
            first.kill()
            first.wait()
        Slow.go_on.set()
        pace = Pace(threads=1, poll_s=0.1, lease_s=LEASE_S)
        second = SagaEngine(world.kit.database, SAGA_TABLES, SAGAS, build_tools(world.kit), worker="second", pace=pace)
        second.start()
        until(lambda: world.shown(image_id)["status"] == "active", what="the import's end")
        second.stop()

        assert world.alice.get(f"/v2/images/{image_id}/file").content == DATA
        assert (Slow.asked, world.files()) == (2, [image_id])
