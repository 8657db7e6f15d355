"""One host with real guests and the control plane that it belongs to, in one process: both may be killed and built anew."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from common.db.database import Database
from services.compute.agent.boots import BootMark
from services.compute.agent.calls import handlers
from services.compute.agent.changes import Changes
from services.compute.agent.host import Host
from services.compute.agent.images import HostImages
from services.compute.agent.presence import Presence
from services.compute.contract import HOST_QUEUE
from services.compute.db.placement_tables import ProviderRow
from services.compute.drivers.images import ImageCache
from services.compute.drivers.libvirt import LibvirtHypervisor
from services.compute.sagas.kit import Rules
from tests.harness.compute import FLAVOR, ComputeWorld
from tests.unit.compute.drivers.builders import libvirt_options

SMALL = dict(FLAVOR) | {"memory_mib": 128}
NAME = "host-1"


class Machine:
    """Whatever is in `place` already goes on: database, guests, disks."""

    def __init__(self, place: Path, uri: str) -> None:
        self.place, self._uri = place, uri
        database = Database(f"sqlite:///{place}/compute.sqlite", synchronous="OFF")
        ProviderRow.metadata.create_all(database.engine)
        self.world = ComputeWorld(place, database, host_names=(), rules=Rules(stop_patience_s=0))
        self.boot_id = place / "boot_id"
        if not self.boot_id.exists():
            self.boot_id.write_text("first")
        self._cloud = place / "cloud"  # a name of its own: others may test on the same libvirtd
        if not self._cloud.exists():
            self._cloud.write_text(str(uuid4()))
        self.copies = place / "guests" / "copies"
        self.start_agent()
        self.world.bus.serve(f"{HOST_QUEUE}.{NAME}", handlers.bound(self.host))

    def start_agent(self) -> None:
        options = libvirt_options(self.place, uri=self._uri, cloud_id=self._cloud.read_text())
        self.hypervisor = LibvirtHypervisor(options)
        cache = ImageCache(self.place / "images")
        images = HostImages(cache, self.world.gallery, forget_token=lambda: None, max_bytes=1 << 30)
        self.host = Host(NAME, self.hypervisor, images)
        self.changes = Changes(self.world.bus, now=self.world.clock.now)
        self.changes.watch(self.host)
        self.changes.start()
        self.compare()

    def compare(self) -> None:
        """With the control plane, as the agent does now and then."""
        mark = BootMark(self.place / f"{NAME}.boot", self.boot_id)
        Presence(self.host, self.world.bus, mark, self.changes, 0, self.world.clock.now).look()

    def close(self) -> None:
        self.changes.stop()
        self.host.close()
        self.world.close()
