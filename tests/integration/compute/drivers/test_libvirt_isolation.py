"""A qemu that was taken over stays alone: own account, system calls filtered, nobody else's disk within reach."""

from __future__ import annotations

import subprocess
from pathlib import Path
from uuid import UUID

import pytest
from lxml import etree

from services.compute.drivers.libvirt import LibvirtHypervisor
from tests.unit.compute.drivers.builders import a_spec

RUN = Path("/run/libvirt/qemu")


def qemu_pid(server_id: UUID) -> int:
    return int((RUN / f"pileus-{server_id.hex[:12]}.pid").read_text())


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def as_account(uid: str, *program: str) -> bool:
    command = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *program]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


def can_read(uid: str, path: Path) -> bool:
    """True if a process with this account, and nothing else, may open the file."""
    return as_account(uid, "dd", f"if={path}", "of=/dev/null", "count=1")


def can_write(uid: str, path: Path) -> bool:
    return as_account(uid, "dd", "if=/dev/null", f"of={path}", "conv=notrunc")


def test_each_guest_runs_under_an_account_of_its_own(hypervisor: LibvirtHypervisor, image: Path) -> None:
    one, other = a_spec(), a_spec()
    for spec in (one, other):
        hypervisor.create(spec, image)

    first, second = (status(qemu_pid(spec.server_id)) for spec in (one, other))

    assert len({first["Uid"], second["Uid"]}) == 2 and len({first["Gid"], second["Gid"]}) == 2
    for found in (first, second):
        assert int(found["Uid"].split()[0]) >= hypervisor.options.first_uid
        assert found["Groups"] == found["Gid"].split()[0]
        assert int(found["CapEff"], 16) == 0
        assert found["Seccomp"] == "2"
    assert b"-sandbox\0on," in Path(f"/proc/{qemu_pid(one.server_id)}/cmdline").read_bytes()


def test_a_guest_opens_its_own_disk_and_no_other(hypervisor: LibvirtHypervisor, image: Path) -> None:
    one, other = (a_spec(config_drive={"openstack/latest/meta_data.json": "{}"}) for _ in range(2))
    for spec in (one, other):
        hypervisor.create(spec, image)
    uid = status(qemu_pid(one.server_id))["Uid"].split()[0]
    disks = hypervisor.options.disks

    own = disks / f"{one.server_id}.root.qcow2"
    assert can_read(uid, own) and can_write(uid, own)
    assert can_read(uid, disks / f"{one.server_id}.config.iso")
    assert not can_read(uid, disks / f"{other.server_id}.root.qcow2")
    assert not can_read(uid, disks / f"{other.server_id}.config.iso")
    assert not can_read(uid, hypervisor.options.consoles / f"{other.server_id}.log")


def test_the_shared_image_stays_nobodys(hypervisor: LibvirtHypervisor, image: Path) -> None:
    spec = a_spec()
    hypervisor.create(spec, image)
    uid = status(qemu_pid(spec.server_id))["Uid"].split()[0]

    assert can_read(uid, image)
    assert not can_write(uid, image)
    assert (image.stat().st_uid, image.stat().st_mode & 0o777) == (0, 0o444)
    hypervisor.destroy(spec.server_id)
    assert (image.stat().st_uid, image.stat().st_mode & 0o777) == (0, 0o444)


@pytest.mark.parametrize(
    "name",
    [
        'x"/><devices><disk type="file"/></devices>',
        "two\r\nlines\0and\x1b",
        "\u202e\U0001f600 %n {{7*7}} $(id)",
        "y" * 5000,
    ],
    ids=["markup", "control", "exotic", "long"],
)
def test_a_hostile_name_is_only_a_name(hypervisor: LibvirtHypervisor, image: Path, name: str) -> None:
    plain, hostile = a_spec(), a_spec(name=name)
    for spec in (plain, hostile):
        hypervisor.create(spec, image)

    shapes = []
    for spec in (plain, hostile):
        dump = ["virsh", "-c", "qemu:///system", "dumpxml", "--inactive", str(spec.server_id)]
        xml = subprocess.run(dump, capture_output=True, check=True).stdout
        shapes.append([element.tag for element in etree.fromstring(xml).iter()])

    assert shapes[0] == shapes[1]
