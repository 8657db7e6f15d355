"""What only a real libvirtd shows: others' domains, half-made guests, hands from outside."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import libvirt
import pytest

from common.errors import InvalidInput, NotFound, PlatformError
from services.compute.core.guests import BlankDisk, DiskKind, GuestSize, PowerState
from services.compute.core.hardware import Hardware
from services.compute.drivers.libvirt import LibvirtHypervisor, acceleration
from tests.unit.compute.drivers.builders import a_spec, an_image_file, eventually, libvirt_options

DISKS = (
    BlankDisk(kind=DiskKind.EPHEMERAL, size_mib=1024, file_system="ext4"),
    BlankDisk(kind=DiskKind.SWAP, size_mib=64),
)
META = "openstack/latest/meta_data.json"


def virsh(*arguments: str) -> str:
    command = ["virsh", "-q", "-c", "qemu:///system", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def root_disk(hypervisor: LibvirtHypervisor, server_id: UUID) -> Path:
    return hypervisor.options.disks / f"{server_id}.root.qcow2"


def disk_info(path: Path) -> dict[str, object]:
    command = ["qemu-img", "info", "-U", "-f", "qcow2", "--output=json", str(path)]
    info: dict[str, object] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return info


def test_the_root_disk_is_an_overlay_as_large_as_the_flavor_says(hypervisor: LibvirtHypervisor, image: Path) -> None:
    spec = a_spec(root_gib=3)

    hypervisor.create(spec, image)

    info = disk_info(root_disk(hypervisor, spec.server_id))
    assert info["virtual-size"] == 3 << 30
    assert (info["full-backing-filename"], info["backing-filename-format"]) == (str(image), "qcow2")


def test_without_a_size_the_root_disk_is_as_large_as_the_image(hypervisor: LibvirtHypervisor, image: Path) -> None:
    spec = a_spec(root_gib=0)

    hypervisor.create(spec, image)

    assert disk_info(root_disk(hypervisor, spec.server_id))["virtual-size"] == 64 << 20


def test_a_raw_image_that_holds_a_qcow2_is_a_raw_disk_to_its_guest(hypervisor: LibvirtHypervisor, place: Path) -> None:
    disguised = place / "disguised"
    create = ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", str(disguised), "1M"]
    subprocess.run(create, check=True)
    spec = a_spec(disk_format="raw")

    hypervisor.create(spec, disguised)

    assert disk_info(root_disk(hypervisor, spec.server_id))["backing-filename-format"] == "raw"
    pid = Path(f"/run/libvirt/qemu/pileus-{spec.server_id.hex[:12]}.pid").read_text()
    assert b"/etc/passwd" not in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_an_image_that_refers_to_a_file_makes_no_guest(hypervisor: LibvirtHypervisor, place: Path) -> None:
    evil = place / "evil"
    create = ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", str(evil), "1M"]
    subprocess.run(create, check=True)

    with pytest.raises(InvalidInput, match="backing file"):
        hypervisor.create(a_spec(), evil)

    assert hypervisor.guests() == [] and hypervisor.leftovers() == set()


def test_what_a_dead_earlier_try_left_is_made_good(hypervisor: LibvirtHypervisor, image: Path) -> None:
    spec = a_spec(config_drive={META: "{}"})
    half = spec.model_copy(update={"config_drive": {"../escape": ""}})  # fails once the root disk is made
    with pytest.raises(InvalidInput):
        hypervisor.create(half, image)
    assert hypervisor.leftovers() == {spec.server_id}

    state = hypervisor.create(spec, image)

    assert state is PowerState.RUNNING
    assert hypervisor.leftovers() == set()


def test_files_that_libvirt_does_not_know_are_replaced_and_removed(hypervisor: LibvirtHypervisor, image: Path) -> None:
    spec, other = a_spec(), uuid4()
    for server_id in (spec.server_id, other):
        root_disk(hypervisor, server_id).write_bytes(b"half a disk")

    hypervisor.create(spec, image)
    assert hypervisor.leftovers() == {other}
    hypervisor.destroy(other)

    assert hypervisor.leftovers() == set()


def test_a_destroyed_guest_leaves_no_file(hypervisor: LibvirtHypervisor, image: Path, place: Path) -> None:
    spec = a_spec(config_drive={META: "{}"}, disks=DISKS)
    hypervisor.create(spec, image)
    (hypervisor.options.disks / f"{spec.server_id}.ephemeral1.qcow2-dead").mkdir()  # where an agent died making one

    hypervisor.destroy(spec.server_id)

    left = [path.name for path in place.rglob("*") if spec.server_id.hex[:8] in path.name]
    assert left == [] and list((place / "uids").iterdir()) == []
    assert str(spec.server_id) not in virsh("list", "--all", "--uuid")


def test_a_rebuilt_guest_s_other_disks_show_nothing_of_what_was_on_them(
    hypervisor: LibvirtHypervisor, image: Path
) -> None:
    spec, secret = a_spec(disks=DISKS), b"what was there before"
    hypervisor.create(spec, image)
    hypervisor.stop(spec.server_id, patience_s=0)
    files = sorted(hypervisor.options.disks.glob(f"{spec.server_id}.[es]*"))
    assert [file.name.partition(".")[2] for file in files] == ["ephemeral0.qcow2", "swap-64.raw"]
    for file in files:
        with file.open("r+b") as opened:
            opened.seek(-len(secret), os.SEEK_END)
            opened.write(secret)

    hypervisor.rebuild(spec.model_copy(update={"build": "second"}), image)

    assert all(secret not in file.read_bytes() for file in files)
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


@pytest.mark.parametrize("meanwhile", ["suspend", "undefine", "destroy", "managedsave"])
def test_a_guest_can_be_destroyed_whatever_was_done_to_it(
    hypervisor: LibvirtHypervisor, image: Path, meanwhile: str
) -> None:
    spec = a_spec()
    hypervisor.create(spec, image)
    virsh(meanwhile, str(spec.server_id))

    hypervisor.destroy(spec.server_id)

    assert str(spec.server_id) not in virsh("list", "--all", "--uuid")
    assert hypervisor.leftovers() == set()


def test_a_guest_paused_from_outside_can_be_started(hypervisor: LibvirtHypervisor, image: Path) -> None:
    spec = a_spec()
    hypervisor.create(spec, image)
    virsh("suspend", str(spec.server_id))
    assert hypervisor.state(spec.server_id) is PowerState.PAUSED

    assert hypervisor.start(spec.server_id) is PowerState.RUNNING


def test_others_domains_are_never_listed_nor_touched(hypervisor: LibvirtHypervisor, image: Path, place: Path) -> None:
    neighbour_place = place / "neighbour"
    neighbour_place.mkdir(mode=0o711)
    neighbour = LibvirtHypervisor(libvirt_options(neighbour_place))
    theirs = a_spec()
    foreign = uuid4()
    foreign_xml = place / "foreign.xml"
    foreign_xml.write_text(
        f"<domain type='qemu'><name>foreign-{foreign.hex[:8]}</name><uuid>{foreign}</uuid>"
        "<memory unit='MiB'>64</memory><os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"
    )
    try:
        neighbour.create(theirs, image)
        virsh("define", str(foreign_xml))

        for server_id in (theirs.server_id, foreign):
            hypervisor.destroy(server_id)
            with pytest.raises(NotFound):
                hypervisor.stop(server_id, patience_s=0)
            with pytest.raises(NotFound):
                hypervisor.console(server_id, max_bytes=10)

        assert hypervisor.guests() == [] and hypervisor.leftovers() == set()
        assert neighbour.state(theirs.server_id) is PowerState.RUNNING
        assert virsh("domstate", str(foreign)).strip() == "shut off"
        with pytest.raises(PlatformError):
            hypervisor.create(theirs.model_copy(update={"server_id": foreign}), image)
        assert "pileus" not in virsh("dumpxml", str(foreign))
    finally:
        neighbour.destroy(theirs.server_id)
        neighbour.retire()
        neighbour.close()
        virsh("undefine", str(foreign))


def test_a_new_cloud_may_move_into_an_old_ones_directory(place: Path, image: Path) -> None:
    old = LibvirtHypervisor(libvirt_options(place))
    old.leftovers()  # makes its pool
    old.close()
    new = LibvirtHypervisor(libvirt_options(place))
    spec = a_spec()

    state = new.create(spec, image)

    assert state is PowerState.RUNNING
    new.destroy(spec.server_id)
    new.retire()
    new.close()


def test_a_guest_switched_off_from_outside_is_told(hypervisor: LibvirtHypervisor, image: Path) -> None:
    spec = a_spec()
    hypervisor.create(spec, image)
    told: list[tuple[UUID, PowerState | None]] = []
    hypervisor.watch(lambda server_id, state: told.append((server_id, state)))

    virsh("destroy", str(spec.server_id))

    assert eventually(lambda: told == [(spec.server_id, PowerState.SHUTDOWN)])


def test_an_image_that_is_gone_fails_and_leaves_no_running_guest(hypervisor: LibvirtHypervisor, place: Path) -> None:
    image = an_image_file(place, name="going")
    spec = a_spec()
    hypervisor.create(spec, image)
    hypervisor.stop(spec.server_id, patience_s=0)
    image.unlink()

    with pytest.raises(PlatformError):
        hypervisor.start(spec.server_id)

    assert hypervisor.state(spec.server_id) is PowerState.SHUTDOWN


def test_acceleration_is_proved_by_a_guest_and_remembered(place: Path) -> None:
    options = libvirt_options(place)
    hypervisor = LibvirtHypervisor(replace(options, virt_type="auto"))

    facts = hypervisor.facts()
    remembered = json.loads((options.storage / "acceleration.json").read_text())

    assert (facts.hypervisor_type == "KVM") == remembered["kvm"]
    assert ("CUSTOM_PILEUS_ACCEL_KVM" if remembered["kvm"] else "CUSTOM_PILEUS_ACCEL_TCG") in facts.traits
    hypervisor.close()


def test_the_probe_says_yes_where_guests_run(place: Path) -> None:
    connection = libvirt.open("qemu:///system")

    works = acceleration.runs_guests(connection, "qemu", storage=place, account=0x70000000)

    assert works
    assert [path.name for path in place.iterdir()] == []
    connection.close()


def test_a_closed_hypervisor_keeps_no_connection(place: Path) -> None:
    def sockets() -> set[str]:
        links = {str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()}
        return {link for link in links if link.startswith("socket:")}

    before = sockets()
    hypervisor = LibvirtHypervisor(libvirt_options(place))
    hypervisor.ping()
    [ours] = sockets() - before  # others' may end meanwhile

    hypervisor.close()

    assert eventually(lambda: ours not in sockets())


def test_disks_are_on_the_buses_that_were_asked_for_and_stay_there_over_a_resize(
    hypervisor: LibvirtHypervisor, image: Path
) -> None:
    def spread(ephemeral_gib: int) -> tuple[BlankDisk, ...]:
        size_mib = ephemeral_gib * 1024
        on = [
            BlankDisk(kind=DiskKind.EPHEMERAL, size_mib=size_mib, file_system="ext4", bus=bus)
            for bus in ("scsi", "sata")
        ]
        return (*on, BlankDisk(kind=DiskKind.SWAP, size_mib=16, bus="usb"))

    spec, names = a_spec(disks=spread(1)), {"vda", "sda", "sdb", "sdc"}
    hypervisor.create(spec, image)
    assert {disk.name for disk in hypervisor.diagnose(spec.server_id).disks} == names

    hypervisor.stop(spec.server_id, patience_s=0)
    size = GuestSize(flavor="m1.small", vcpus=1, memory_mib=64, root_gib=1, hardware=Hardware(), disks=spread(2))
    hypervisor.resize(spec.server_id, size)
    hypervisor.start(spec.server_id)

    assert {disk.name for disk in hypervisor.diagnose(spec.server_id).disks} == names
