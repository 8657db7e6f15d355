"""Disks and config drives of this host's guests, in a libvirt storage pool of the agent's own.

The pool is transient: it needs no trace in libvirt's configuration, and is made again whenever it isn't there.  Files are
named by server id and what they are to it.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import libvirt
from lxml import etree

from services.compute.core.guests import BlankDisk, DiskKind
from services.compute.core.local_disks import labels
from services.compute.drivers.libvirt.blank_disks import FORMATS, BlankFile, grow_blank, make_blank
from services.compute.drivers.libvirt.config_drives import build_config_drive
from services.compute.drivers.libvirt.errors import ignoring, is_about
from services.compute.drivers.libvirt.options import LibvirtOptions
from services.compute.drivers.libvirt.plans import RootDisk

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
        image: Path | None,
        image_format: str,
        size_bytes: int,
        suffix: str = ROOT,
    ) -> RootDisk:
        """A fresh overlay on the image, or an empty disk without one; what an earlier try left, no guest ever saw."""
        pool = self._pool(connection)
        name = f"{server_id}{suffix}"
        self._remove_volume(pool, name)
        volume = pool.createXML(_overlay_xml(name, image=image, image_format=image_format, size_bytes=size_bytes))
        return RootDisk(Path(volume.path()), image, image_format)

    def make_config_drive(self, server_id: UUID, files: Mapping[str, bytes]) -> Path:
        path = self._directory / f"{server_id}{CONFIG}"
        build_config_drive(files, path, form=self._options.config_drive_format)
        return path

    def grow_root(self, connection: libvirt.virConnect, server_id: UUID, size_bytes: int) -> None:
        """To at least this; the guest is off."""
        volume = self._pool(connection).storageVolLookupByName(f"{server_id}{ROOT}")
        # its size is asked anew: a snapshot may have brought back another; the test driver can't change any
        if volume.info()[1] < size_bytes and connection.getType() != "TEST":
            volume.resize(size_bytes)

    def make_blanks(self, server_id: UUID, disks: Sequence[BlankDisk]) -> tuple[BlankFile, ...]:
        """Fresh ones, in order; those of an earlier try, or an earlier guest of the server, are replaced."""
        files = self._blanks(server_id, disks)
        for disk, file in zip(disks, files, strict=True):
            make_blank(disk, file)
        return files

    def have_blanks(self, server_id: UUID, disks: Sequence[BlankDisk]) -> tuple[BlankFile, ...]:
        """Those that are there, grown; and new ones.  Swap of another size is another file.  The guest is off."""
        files = self._blanks(server_id, disks)
        for disk, file in zip(disks, files, strict=True):
            if file.path.exists():
                grow_blank(disk, file)
            else:
                make_blank(disk, file)
        return files

    def tidy_blanks(self, server_id: UUID, used: Collection[BlankFile]) -> None:
        """Remove those that the guest, as it is described now, does not have (any more)."""
        kept = {file.path for file in used}
        for kind in DiskKind:
            for path in self._directory.glob(f"{server_id}.{kind}*.{FORMATS[kind]}"):
                if path not in kept:
                    path.unlink(missing_ok=True)

    def _blanks(self, server_id: UUID, disks: Sequence[BlankDisk]) -> tuple[BlankFile, ...]:
        return tuple(
            BlankFile(
                self._directory / f"{server_id}.{label}{_made_as(disk)}.{FORMATS[disk.kind]}",
                label,
                disk.kind,
                disk.bus,
            )
            for disk, label in zip(disks, labels(disks), strict=True)
        )

    def nvram_path(self, server_id: UUID, *, is_secure: bool) -> Path:
        """Where UEFI keeps its variables: each of its kinds has its own."""
        return self._directory / f"{server_id}.{'secure-' if is_secure else ''}nvram"

    def rescue_path(self, server_id: UUID) -> Path:
        return self._directory / f"{server_id}{RESCUE}"

    def description_path(self, server_id: UUID) -> Path:
        """Where a guest that is being rescued has its own description."""
        return self._directory / f"{server_id}.before-rescue.xml"

    def remove_rescue(self, connection: libvirt.virConnect, server_id: UUID) -> None:
        self._remove_volume(self._pool(connection), f"{server_id}{RESCUE}")

    def remove(self, connection: libvirt.virConnect, server_id: UUID) -> None:
        """All disks; those that aren't there are fine."""
        for suffix in (ROOT, RESCUE):
            self._remove_volume(self._pool(connection), f"{server_id}{suffix}")
        for path in self._directory.glob(f"{server_id}.*"):
            if path.is_dir():  # where a disk was being made when the agent died
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

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
            with ignoring(libvirt.VIR_ERR_NO_STORAGE_POOL):  # another cloud's may go while one looks
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
    with suppress(ValueError):
        return UUID(name.partition(".")[0])
    return None


def _made_as(disk: BlankDisk) -> str:
    """What can't be changed of a disk once it is made is in its file's name."""
    return f"-{disk.size_mib}" if disk.kind is DiskKind.SWAP else ""


def _target(pool: libvirt.virStoragePool) -> Path:
    return Path(etree.fromstring(pool.XMLDesc().encode()).findtext("target/path", ""))


def _pool_xml(name: str, directory: Path) -> str:
    pool = etree.Element("pool", type="dir")
    etree.SubElement(pool, "name").text = name
    etree.SubElement(etree.SubElement(pool, "target"), "path").text = str(directory)
    return etree.tostring(pool, encoding="unicode")


def _overlay_xml(name: str, *, image: Path | None, image_format: str, size_bytes: int) -> str:
    volume = etree.Element("volume")
    etree.SubElement(volume, "name").text = name
    etree.SubElement(volume, "capacity", unit="bytes").text = str(size_bytes)
    etree.SubElement(volume, "allocation", unit="bytes").text = "0"
    target = etree.SubElement(volume, "target")
    etree.SubElement(target, "format", type="qcow2")
    etree.SubElement(target, "compat").text = "1.1"  # older ones can't grow while they keep the way back from a resize
    etree.SubElement(etree.SubElement(target, "permissions"), "mode").text = "0600"
    if image is None:
        return etree.tostring(volume, encoding="unicode")
    backing = etree.SubElement(volume, "backingStore")
    etree.SubElement(backing, "path").text = str(image)
    etree.SubElement(backing, "format", type=image_format)
    return etree.tostring(volume, encoding="unicode")
