"""Root disks and config drives of this host's guests, in a libvirt storage pool of the agent's own.

The pool is transient: it needs no trace in libvirt's configuration, and is made again whenever it isn't there.  Files are
named by server id and nothing else.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from uuid import UUID

import libvirt
from lxml import etree

from services.compute.drivers.libvirt.config_drives import build_config_drive
from services.compute.drivers.libvirt.domains import RootDisk
from services.compute.drivers.libvirt.errors import is_about
from services.compute.drivers.libvirt.options import LibvirtOptions

ROOT = ".root.qcow2"
RESCUE = ".rescue.qcow2"
CONFIG = ".config.iso"


class Disks:
    def __init__(self, options: LibvirtOptions) -> None:
        self._options = options
        self._directory = options.disks

    def make_root(
        self,
        connection: libvirt.virConnect,
        server_id: UUID,
        *,
        image: Path,
        image_format: str,
        size_bytes: int,
        suffix: str = ROOT,
    ) -> RootDisk:
        """A fresh overlay on the image; one of an earlier try, which no guest ever saw, is replaced."""
        pool = self._pool(connection)
        name = f"{server_id}{suffix}"
        self._remove_volume(pool, name)
        volume = pool.createXML(_overlay_xml(name, image=image, image_format=image_format, size_bytes=size_bytes))
        return RootDisk(Path(volume.path()), image, image_format)

    def make_config_drive(self, server_id: UUID, files: dict[str, str]) -> Path:
        path = self._directory / f"{server_id}{CONFIG}"
        build_config_drive(files, path)
        return path

    def grow_root(self, connection: libvirt.virConnect, server_id: UUID, size_bytes: int) -> None:
        """To at least this; the guest is off."""
        volume = self._pool(connection).storageVolLookupByName(f"{server_id}{ROOT}")
        # its size is asked anew: a snapshot may have brought back another; the test driver can't change any
        if volume.info()[1] < size_bytes and connection.getType() != "TEST":
            volume.resize(size_bytes)

    def rescue_path(self, server_id: UUID) -> Path:
        return self._directory / f"{server_id}{RESCUE}"

    def remove_rescue(self, connection: libvirt.virConnect, server_id: UUID) -> None:
        self._remove_volume(self._pool(connection), f"{server_id}{RESCUE}")

    def remove(self, connection: libvirt.virConnect, server_id: UUID) -> None:
        """All disks; those that aren't there are fine."""
        for suffix in (ROOT, RESCUE):
            self._remove_volume(self._pool(connection), f"{server_id}{suffix}")
        (self._directory / f"{server_id}{CONFIG}").unlink(missing_ok=True)

    def owners(self, connection: libvirt.virConnect) -> set[UUID]:
        """Ids of the servers that have a disk here."""
        names = {volume.name() for volume in self._pool(connection).listAllVolumes()}
        if self._directory.is_dir():
            names |= {path.name for path in self._directory.iterdir()}
        return {owner for name in names if (owner := _owner(name))}

    def retire(self, connection: libvirt.virConnect) -> None:
        """Take the pool out of libvirt; the files stay."""
        with suppress(libvirt.libvirtError):
            connection.storagePoolLookupByName(self._options.pool).destroy()

    def _pool(self, connection: libvirt.virConnect) -> libvirt.virStoragePool:
        try:
            pool = connection.storagePoolLookupByName(self._options.pool)
            if pool.isActive():
                return pool
        except libvirt.libvirtError as error:
            if not is_about(error, libvirt.VIR_ERR_NO_STORAGE_POOL):
                raise
        return self._make_pool(connection)

    def _make_pool(self, connection: libvirt.virConnect) -> libvirt.virStoragePool:
        self._directory.mkdir(mode=0o711, exist_ok=True)
        self._end_earlier_pool(connection)
        try:
            return connection.storagePoolCreateXML(_pool_xml(self._options.pool, self._directory), 0)
        except libvirt.libvirtError:
            for pool in connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
                if pool.name() == self._options.pool:  # somebody was quicker
                    return pool
            raise

    def _end_earlier_pool(self, connection: libvirt.virConnect) -> None:
        """A cloud that lived in this directory before us may have left its pool; libvirt takes one per directory."""
        for pool in connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
            name = pool.name()
            if name.startswith("pileus-") and name != self._options.pool and _target(pool) == self._directory:
                pool.destroy()

    def _remove_volume(self, pool: libvirt.virStoragePool, name: str) -> None:
        """By libvirt if it knows the volume, else the file itself: a pool doesn't see what came behind its back."""
        try:
            pool.storageVolLookupByName(name).delete(0)
        except libvirt.libvirtError as error:
            if (self._directory / name).exists() and not is_about(error, libvirt.VIR_ERR_NO_STORAGE_VOL):
                raise
        (self._directory / name).unlink(missing_ok=True)


def _owner(name: str) -> UUID | None:
    for suffix in (ROOT, RESCUE, CONFIG):
        if name.endswith(suffix):
            with suppress(ValueError):
                return UUID(name.removesuffix(suffix))
    return None


def _target(pool: libvirt.virStoragePool) -> Path:
    return Path(etree.fromstring(pool.XMLDesc().encode()).findtext("target/path", ""))


def _pool_xml(name: str, directory: Path) -> str:
    pool = etree.Element("pool", type="dir")
    etree.SubElement(pool, "name").text = name
    etree.SubElement(etree.SubElement(pool, "target"), "path").text = str(directory)
    return etree.tostring(pool, encoding="unicode")


def _overlay_xml(name: str, *, image: Path, image_format: str, size_bytes: int) -> str:
    volume = etree.Element("volume")
    etree.SubElement(volume, "name").text = name
    etree.SubElement(volume, "capacity", unit="bytes").text = str(size_bytes)
    etree.SubElement(volume, "allocation", unit="bytes").text = "0"
    target = etree.SubElement(volume, "target")
    etree.SubElement(target, "format", type="qcow2")
    etree.SubElement(target, "compat").text = "1.1"  # older ones can't grow while they keep the way back from a resize
    etree.SubElement(etree.SubElement(target, "permissions"), "mode").text = "0600"
    backing = etree.SubElement(volume, "backingStore")
    etree.SubElement(backing, "path").text = str(image)
    etree.SubElement(backing, "format", type=image_format)
    return etree.tostring(volume, encoding="unicode")
