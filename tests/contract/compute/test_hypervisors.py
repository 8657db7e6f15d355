"""Every hypervisor keeps the same promises: the simulated one, libvirt's test driver, and libvirt with real guests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from socket import socket
from threading import Event
from uuid import UUID, uuid4

import pytest
from lxml import etree

from common.errors import Conflict, HostFailed, InvalidInput, NotFound
from services.compute.core.consoles import ConsoleKind
from services.compute.core.guests import BlankDisk, DiskKind, GuestFound, GuestSize, GuestSpec, PowerState, Quiesce
from services.compute.core.hardware import Hardware, hardware_of
from services.compute.core.hypervisors import Hypervisor
from services.compute.drivers.images import virtual_size
from services.compute.drivers.libvirt import LibvirtHypervisor
from services.compute.drivers.simulated import SimulatedHypervisor, SimulatedOptions
from tests.harness.spice import link
from tests.unit.compute.drivers.builders import a_place, a_spec, an_image_file, eventually, libvirt_options

KINDS = ("simulated", "test:///default", "qemu:///system")


@pytest.fixture
def place() -> Iterator[Path]:
    with a_place() as path:
        yield path


@pytest.fixture
def image(place: Path) -> Path:
    return an_image_file(place)


@pytest.fixture(params=KINDS)
def hypervisor(request: pytest.FixtureRequest, place: Path) -> Iterator[Hypervisor]:
    if request.param == "simulated":
        options = SimulatedOptions(host="host-1", reads_images=True, copies=place / "copies")
        simulated = SimulatedHypervisor(options)
        yield simulated
        simulated.close()
        return
    if request.param == "qemu:///system":
        request.getfixturevalue("libvirtd")
    libvirt = LibvirtHypervisor(libvirt_options(place, uri=request.param))
    yield libvirt
    for found in libvirt.guests():
        libvirt.destroy(found.server_id)
    libvirt.retire()
    libvirt.close()


def a_guest(hypervisor: Hypervisor, image: Path) -> UUID:
    """The id of one that runs."""
    spec = a_spec()
    hypervisor.create(spec, image)
    return spec.server_id


def test_a_host_tells_what_it_has(hypervisor: Hypervisor) -> None:
    facts = hypervisor.facts()

    assert facts.host == "host-1"
    assert facts.vcpus >= 1 and facts.memory_mib > 1024 and facts.disk_gib >= 1
    assert facts.traits


def test_a_created_guest_runs_and_is_found(hypervisor: Hypervisor, image: Path) -> None:
    spec = a_spec()

    state = hypervisor.create(spec, image)

    assert state is PowerState.RUNNING
    assert hypervisor.state(spec.server_id) is PowerState.RUNNING
    assert hypervisor.guests() == [GuestFound(server_id=spec.server_id, power_state=PowerState.RUNNING)]
    assert hypervisor.images_in_use() == {image.name}
    assert hypervisor.leftovers() == set()


def test_everything_said_twice_has_the_effect_of_once(hypervisor: Hypervisor, image: Path) -> None:
    spec = a_spec()
    server_id = spec.server_id

    assert [hypervisor.create(spec, image) for _ in range(2)] == [PowerState.RUNNING] * 2
    assert [hypervisor.stop(server_id, patience_s=0) for _ in range(2)] == [PowerState.SHUTDOWN] * 2
    assert [hypervisor.start(server_id) for _ in range(2)] == [PowerState.RUNNING] * 2
    assert [hypervisor.reboot(server_id, patience_s=0) for _ in range(2)] == [PowerState.RUNNING] * 2
    assert len(hypervisor.guests()) == 1
    for _ in range(2):
        hypervisor.destroy(server_id)
    assert hypervisor.guests() == []


def test_a_paused_guest_goes_on_and_twice_is_once(hypervisor: Hypervisor, image: Path) -> None:
    server_id = a_guest(hypervisor, image)

    assert [hypervisor.pause(server_id) for _ in range(2)] == [PowerState.PAUSED] * 2
    assert hypervisor.start(server_id) is PowerState.RUNNING


def test_a_suspended_guest_is_off_until_it_goes_on(hypervisor: Hypervisor, image: Path) -> None:
    server_id = a_guest(hypervisor, image)

    assert [hypervisor.suspend(server_id) for _ in range(2)] == [PowerState.SHUTDOWN] * 2
    assert hypervisor.start(server_id) is PowerState.RUNNING


@pytest.mark.parametrize("hold", ["pause", "suspend"])
def test_a_hard_reboot_frees_a_guest_that_is_held(hypervisor: Hypervisor, image: Path, hold: str) -> None:
    server_id = a_guest(hypervisor, image)
    getattr(hypervisor, hold)(server_id)

    assert hypervisor.reboot(server_id, patience_s=0) is PowerState.RUNNING


def test_a_guest_that_is_off_is_neither_paused_nor_suspended(hypervisor: Hypervisor, image: Path) -> None:
    server_id = a_guest(hypervisor, image)
    hypervisor.stop(server_id, patience_s=0)

    assert hypervisor.pause(server_id) is hypervisor.suspend(server_id) is PowerState.SHUTDOWN


def test_a_rebuilt_guest_is_a_new_one_and_the_same_order_makes_it_once(hypervisor: Hypervisor, place: Path) -> None:
    old, new = an_image_file(place, name="old"), an_image_file(place, name="new")
    spec = a_spec()
    hypervisor.create(spec, old)
    order = spec.model_copy(update={"build": "second"})

    assert [hypervisor.rebuild(order, new) for _ in range(2)] == [PowerState.RUNNING] * 2
    assert hypervisor.images_in_use() == {"new"}
    assert len(hypervisor.guests()) == 1


def test_a_rebuild_that_cannot_be_leaves_the_guest(hypervisor: Hypervisor, image: Path, place: Path) -> None:
    spec = a_spec()
    hypervisor.create(spec, image)

    with pytest.raises(InvalidInput, match="disk"):
        hypervisor.rebuild(spec.model_copy(update={"build": "b"}), an_image_file(place, mib=2048, name="large"))

    assert hypervisor.state(spec.server_id) is PowerState.RUNNING


LARGER = GuestSize(flavor="m1.small", vcpus=2, memory_mib=256, root_gib=2)


def test_a_resized_guest_keeps_its_size_when_told_to(hypervisor: Hypervisor, image: Path) -> None:
    server_id = a_guest(hypervisor, image)

    assert [hypervisor.resize(server_id, LARGER) for _ in range(2)] == [PowerState.SHUTDOWN] * 2
    assert hypervisor.start(server_id) is PowerState.RUNNING
    assert [hypervisor.keep_size(server_id) for _ in range(2)] == [PowerState.RUNNING] * 2

    assert hypervisor.diagnose(server_id).memory_kib == 256 * 1024
    hypervisor.restore_size(server_id, ())  # there is no way back any more
    hypervisor.start(server_id)
    assert hypervisor.diagnose(server_id).memory_kib == 256 * 1024


def test_a_resized_guest_can_be_what_it_was(hypervisor: Hypervisor, image: Path) -> None:
    server_id = a_guest(hypervisor, image)
    hypervisor.resize(server_id, LARGER)
    hypervisor.start(server_id)

    assert [hypervisor.restore_size(server_id, ()) for _ in range(2)] == [PowerState.SHUTDOWN] * 2

    hypervisor.start(server_id)
    found = hypervisor.diagnose(server_id)
    assert (found.memory_kib, len(found.cpu_times_ns)) == (128 * 1024, 1)


def test_a_resized_guest_can_be_destroyed(hypervisor: Hypervisor, image: Path) -> None:
    server_id = a_guest(hypervisor, image)
    hypervisor.resize(server_id, LARGER)

    hypervisor.destroy(server_id)

    assert hypervisor.guests() == [] and hypervisor.leftovers() == set()


def test_a_rescued_guest_has_its_own_disk_beside_and_gets_it_back(hypervisor: Hypervisor, place: Path) -> None:
    own, rescue = an_image_file(place, name="own"), an_image_file(place, name="rescue")
    spec = a_spec()
    hypervisor.create(spec, own)

    assert [hypervisor.rescue(spec, rescue) for _ in range(2)] == [PowerState.RUNNING] * 2
    assert hypervisor.images_in_use() == {"own", "rescue"}
    assert [hypervisor.unrescue(spec.server_id) for _ in range(2)] == [PowerState.SHUTDOWN] * 2

    assert hypervisor.start(spec.server_id) is PowerState.RUNNING
    assert hypervisor.images_in_use() == {"own"}
    hypervisor.destroy(spec.server_id)
    assert hypervisor.leftovers() == set()


def ephemeral(gib: int) -> BlankDisk:
    return BlankDisk(kind=DiskKind.EPHEMERAL, size_mib=gib * 1024, file_system="ext4")


def swap(mib: int) -> BlankDisk:
    return BlankDisk(kind=DiskKind.SWAP, size_mib=mib)


def disks_of(hypervisor: Hypervisor, server_id: UUID) -> list[str]:
    hypervisor.start(server_id)
    return [disk.name for disk in hypervisor.diagnose(server_id).disks]


# fmt: off
RESIZED = [
    # disks before,              after,                                     what the guest has then
    ((ephemeral(1), swap(64)),   (ephemeral(2), ephemeral(1), swap(128)),   ["vda", "vdb", "vdc", "vdd"]),
    ((swap(64),),                (ephemeral(1), swap(64)),                  ["vda", "vdb", "vdc"]),
]
# fmt: on


@pytest.mark.parametrize("way", ["keep_size", "restore_size"])
@pytest.mark.parametrize(("before", "after", "names"), RESIZED)
def test_a_resize_changes_a_guest_s_other_disks_and_can_be_undone(
    hypervisor: Hypervisor,
    image: Path,
    before: tuple[BlankDisk, ...],
    after: tuple[BlankDisk, ...],
    names: list[str],
    way: str,
) -> None:
    spec = a_spec(disks=before)
    hypervisor.create(spec, image)
    had = disks_of(hypervisor, spec.server_id)

    for _ in range(2):
        hypervisor.resize(spec.server_id, LARGER.model_copy(update={"disks": after}))
    assert disks_of(hypervisor, spec.server_id) == names
    for _ in range(2):
        if way == "keep_size":
            hypervisor.keep_size(spec.server_id)
        else:
            hypervisor.restore_size(spec.server_id, before)

    assert disks_of(hypervisor, spec.server_id) == (names if way == "keep_size" else had)
    hypervisor.destroy(spec.server_id)
    assert hypervisor.leftovers() == set()


def test_a_rescued_guest_gets_all_its_disks_back(hypervisor: Hypervisor, image: Path) -> None:
    spec = a_spec(disks=(ephemeral(1), swap(64)))
    hypervisor.create(spec, image)

    hypervisor.rescue(spec, image)
    hypervisor.unrescue(spec.server_id)

    assert disks_of(hypervisor, spec.server_id) == ["vda", "vdb", "vdc"]


WITH_DISKS = pytest.mark.parametrize("hypervisor", ["simulated", "qemu:///system"], indirect=True)
"""libvirt's test driver has no bytes to copy."""


@WITH_DISKS
@pytest.mark.parametrize("is_off", [False, True], ids=["running", "off"])
def test_a_copy_of_a_disk_is_a_whole_image_and_made_once(hypervisor: Hypervisor, image: Path, is_off: bool) -> None:
    server_id, image_id = a_guest(hypervisor, image), uuid4()
    if is_off:
        hypervisor.stop(server_id, patience_s=0)

    copies = [hypervisor.copy_disk(server_id, image_id, quiesce=Quiesce.NO, over=Event()) for _ in range(2)]

    assert copies[0] == copies[1] and virtual_size(copies[0], "qcow2") == 1 << 30
    assert hypervisor.copied() == {server_id}
    for _ in range(2):
        hypervisor.drop_copies(server_id)
    assert hypervisor.copied() == set() and not copies[0].exists()


@WITH_DISKS
def test_a_copy_that_is_not_wanted_or_cannot_be_quiet_is_none(hypervisor: Hypervisor, image: Path) -> None:
    server_id, over = a_guest(hypervisor, image), Event()
    with pytest.raises(Conflict):
        hypervisor.copy_disk(server_id, uuid4(), quiesce=Quiesce.MUST, over=over)
    over.set()
    with pytest.raises(Conflict):
        hypervisor.copy_disk(server_id, uuid4(), quiesce=Quiesce.NO, over=over)

    assert hypervisor.copied() == set()


@WITH_DISKS
def test_a_destroyed_guest_s_copies_go_with_it(hypervisor: Hypervisor, image: Path) -> None:
    server_id = a_guest(hypervisor, image)
    copy = hypervisor.copy_disk(server_id, uuid4(), quiesce=Quiesce.NO, over=Event())

    hypervisor.destroy(server_id)

    assert not copy.exists()
    with pytest.raises(NotFound):
        hypervisor.copy_disk(server_id, uuid4(), quiesce=Quiesce.NO, over=Event())


def test_a_guest_without_an_agent_sets_no_password(hypervisor: Hypervisor, image: Path) -> None:
    server_id = a_guest(hypervisor, image)
    hypervisor.stop(server_id, patience_s=0)

    with pytest.raises(Conflict):
        hypervisor.set_password(server_id, user="root", password="secret")


def test_a_guest_that_is_off_takes_no_interrupt(hypervisor: Hypervisor, image: Path) -> None:
    server_id = a_guest(hypervisor, image)
    hypervisor.stop(server_id, patience_s=0)

    with pytest.raises(Conflict):
        hypervisor.crash(server_id)


def test_a_guest_is_diagnosed(hypervisor: Hypervisor, image: Path) -> None:
    server_id = a_guest(hypervisor, image)

    found = hypervisor.diagnose(server_id)

    assert found.power_state is PowerState.RUNNING
    assert len(found.cpu_times_ns) == 1 and found.memory_kib == 128 * 1024
    assert [disk.name for disk in found.disks] == ["vda"]


def test_a_create_delivered_many_times_at_once_makes_one_guest(hypervisor: Hypervisor, image: Path) -> None:
    spec = a_spec()

    with ThreadPoolExecutor(4) as pool:
        states = list(pool.map(lambda _: hypervisor.create(spec, image), range(4)))

    assert states == [PowerState.RUNNING] * 4
    assert len(hypervisor.guests()) == 1


def test_create_powers_on_a_guest_that_is_off(hypervisor: Hypervisor, image: Path) -> None:
    spec = a_spec()
    hypervisor.create(spec, image)
    hypervisor.stop(spec.server_id, patience_s=0)

    assert hypervisor.create(spec, image) is PowerState.RUNNING


def test_a_reboot_starts_a_guest_that_is_off(hypervisor: Hypervisor, image: Path) -> None:
    spec = a_spec()
    hypervisor.create(spec, image)
    hypervisor.stop(spec.server_id, patience_s=0)

    assert hypervisor.reboot(spec.server_id, patience_s=5) is PowerState.RUNNING


def test_a_destroyed_guest_leaves_nothing(hypervisor: Hypervisor, image: Path) -> None:
    spec = a_spec()
    hypervisor.create(spec, image)

    hypervisor.destroy(spec.server_id)

    with pytest.raises(NotFound):
        hypervisor.state(spec.server_id)
    assert hypervisor.guests() == []
    assert hypervisor.leftovers() == set()
    assert hypervisor.images_in_use() == set()


@pytest.mark.parametrize("act", ["start", "stop", "reboot", "pause", "suspend", "state", "console"])
def test_a_guest_that_is_not_there_is_not_found(hypervisor: Hypervisor, act: str) -> None:
    options: dict[str, dict[str, float]] = {
        "stop": {"patience_s": 1},
        "reboot": {"patience_s": 1},
        "console": {"max_bytes": 1},
    }

    with pytest.raises(NotFound):
        getattr(hypervisor, act)(uuid4(), **options.get(act, {}))


def test_destroying_a_guest_that_is_not_there_is_fine(hypervisor: Hypervisor) -> None:
    hypervisor.destroy(uuid4())


def test_an_image_larger_than_the_flavors_disk_is_refused(hypervisor: Hypervisor, place: Path) -> None:
    spec = a_spec(root_gib=1)

    with pytest.raises(InvalidInput, match="disk"):
        hypervisor.create(spec, an_image_file(place, mib=2048, name="large"))

    assert hypervisor.guests() == []
    assert hypervisor.leftovers() == set()


def test_the_console_gives_at_most_what_was_asked_for(hypervisor: Hypervisor, image: Path) -> None:
    spec = a_spec()
    hypervisor.create(spec, image)

    assert len(hypervisor.console(spec.server_id, max_bytes=5)) <= 5
    assert hypervisor.console(spec.server_id, max_bytes=0) == b""


def test_a_running_guests_screen_can_be_opened_more_than_once(hypervisor: Hypervisor, image: Path) -> None:
    if isinstance(hypervisor, LibvirtHypervisor) and hypervisor.options.uri.startswith("test"):
        return  # libvirt's test driver has no screens

    server_id = a_guest(hypervisor, image)
    screens = [socket(fileno=hypervisor.open_console(server_id, ConsoleKind.VNC)) for _ in range(2)]

    for screen in screens:
        with screen:
            screen.settimeout(10)
            assert screen.recv(12) == b"RFB 003.008\n"


def test_a_screen_by_spice_takes_connections_and_has_no_port(hypervisor: Hypervisor, image: Path) -> None:
    if ConsoleKind.SPICE not in hypervisor.facts().consoles:
        return  # neither has libvirt's test driver

    server_id = a_guest(hypervisor, image)
    screens = [socket(fileno=hypervisor.open_console(server_id, ConsoleKind.SPICE)) for _ in range(2)]

    for screen in screens:
        with screen:
            screen.settimeout(10)
            screen.sendall(link())
            assert screen.recv(4) == b"REDQ"


@pytest.mark.parametrize("kind", ConsoleKind)
def test_a_guest_that_is_off_has_no_console(hypervisor: Hypervisor, image: Path, kind: ConsoleKind) -> None:
    server_id = a_guest(hypervisor, image)
    hypervisor.stop(server_id, patience_s=0)

    with pytest.raises(Conflict):
        hypervisor.open_console(server_id, kind)


@pytest.mark.parametrize("kind", ConsoleKind)
def test_a_guest_that_is_not_there_has_no_console(hypervisor: Hypervisor, kind: ConsoleKind) -> None:
    with pytest.raises(NotFound):
        hypervisor.open_console(uuid4(), kind)


def test_changes_are_told_to_whoever_watches(hypervisor: Hypervisor, image: Path) -> None:
    spec = a_spec()
    told: list[tuple[UUID, PowerState | None]] = []
    hypervisor.watch(lambda server_id, state: told.append((server_id, state)))

    def was_told(state: PowerState | None) -> bool:
        return eventually(lambda: bool(told) and told[-1] == (spec.server_id, state))

    hypervisor.create(spec, image)
    assert was_told(PowerState.RUNNING)
    hypervisor.stop(spec.server_id, patience_s=0)
    assert was_told(PowerState.SHUTDOWN)
    hypervisor.start(spec.server_id)
    assert was_told(PowerState.RUNNING)
    hypervisor.destroy(spec.server_id)
    assert was_told(None)


def test_a_reboot_is_not_told_as_a_guest_that_went_off(hypervisor: Hypervisor, image: Path) -> None:
    spec = a_spec()
    hypervisor.create(spec, image)
    told: list[PowerState | None] = []
    hypervisor.watch(lambda _, state: told.append(state))

    hypervisor.reboot(spec.server_id, patience_s=0)
    hypervisor.destroy(spec.server_id)

    assert eventually(lambda: None in told)
    assert PowerState.SHUTDOWN not in told


def test_a_host_that_answers_can_be_pinged(hypervisor: Hypervisor) -> None:
    hypervisor.ping()


# ---------------------------------------------------------------- processors of their own


@pytest.fixture(params=["simulated", "test:///default"])
def large_host(request: pytest.FixtureRequest, place: Path) -> Iterator[Callable[[], Hypervisor]]:
    """Agents of one host, one after another: it has eight processors for guests that have some of their own."""
    made: list[Hypervisor] = []

    def an_agent() -> Hypervisor:
        if request.param == "simulated":
            options = SimulatedOptions(host="host-1", pcpus=8, vcpus=8, state_file=place / "guests.json")
            made.append(SimulatedHypervisor(options))
        else:
            own, shared = frozenset(range(8, 16)), frozenset(range(8))
            made.append(LibvirtHypervisor(replace(test_options, dedicated_cpus=own, shared_cpus=shared)))
        return made[-1]

    test_options = libvirt_options(place, uri="test:///default")
    yield an_agent
    for guest in made[-1].guests():
        made[-1].destroy(guest.server_id)
    for one in made:
        one.close()


def dedicated(vcpus: int = 1) -> Hardware:
    return hardware_of({}, {"hw:cpu_policy": "dedicated"}, vcpus=vcpus, memory_mib=64)


def a_dedicated_spec(vcpus: int = 1) -> GuestSpec:
    more = {"vcpus": vcpus, "memory_mib": 64, "hardware": dedicated(vcpus)}
    return a_spec().model_copy(update=more)


def own_processors(hypervisor: Hypervisor, server_id: UUID) -> list[int]:
    if isinstance(hypervisor, SimulatedHypervisor):
        return list(hypervisor._guests[server_id].pins)
    assert isinstance(hypervisor, LibvirtHypervisor)
    told = hypervisor._connection.call(lambda connection: connection.lookupByUUID(server_id.bytes).XMLDesc())
    return [int(str(pin.get("cpuset"))) for pin in etree.fromstring(told).iterfind("cputune/vcpupin")]


def test_however_many_race_no_two_guests_have_the_same_processor(
    large_host: Callable[[], Hypervisor], image: Path
) -> None:
    hypervisor, specs = large_host(), [a_dedicated_spec() for _ in range(14)]

    def create(spec: GuestSpec) -> bool:
        try:
            return hypervisor.create(spec, image) is PowerState.RUNNING
        except HostFailed:
            return False

    with ThreadPoolExecutor(14) as threads:
        made = list(threads.map(create, specs))

    given = [own_processors(hypervisor, spec.server_id) for spec, is_made in zip(specs, made, strict=True) if is_made]
    assert len({cpu for one in given for cpu in one}) == len(given) == 8


def test_an_agent_that_starts_again_knows_which_processors_are_taken(
    large_host: Callable[[], Hypervisor], image: Path
) -> None:
    spec, other = a_dedicated_spec(6), a_dedicated_spec(3)
    large_host().create(spec, image)
    large_host()
    hypervisor = large_host()

    with pytest.raises(HostFailed, match="processors"):
        hypervisor.create(other, image)
    hypervisor.destroy(spec.server_id)

    assert hypervisor.create(other, image) is PowerState.RUNNING


def test_a_guest_that_may_go_back_to_its_size_keeps_the_processors_for_that(
    large_host: Callable[[], Hypervisor], image: Path
) -> None:
    hypervisor, spec = large_host(), a_dedicated_spec(4)
    hypervisor.create(spec, image)
    before = own_processors(hypervisor, spec.server_id)

    hypervisor.resize(spec.server_id, GuestSize(flavor="s", vcpus=1, memory_mib=64, root_gib=1, hardware=dedicated(1)))
    smaller = own_processors(hypervisor, spec.server_id)
    with pytest.raises(HostFailed):
        hypervisor.create(a_dedicated_spec(5), image)
    hypervisor.restore_size(spec.server_id, ())

    assert set(smaller) < set(before)
    assert own_processors(hypervisor, spec.server_id) == before


def test_a_guest_that_keeps_its_smaller_size_gives_the_other_processors_back(
    large_host: Callable[[], Hypervisor], image: Path
) -> None:
    hypervisor, spec = large_host(), a_dedicated_spec(4)
    hypervisor.create(spec, image)
    hypervisor.resize(spec.server_id, GuestSize(flavor="s", vcpus=1, memory_mib=64, root_gib=1, hardware=dedicated(1)))

    hypervisor.keep_size(spec.server_id)

    assert hypervisor.create(a_dedicated_spec(7), image) is PowerState.RUNNING


def test_a_host_tells_what_it_keeps_for_such_guests(large_host: Callable[[], Hypervisor]) -> None:
    facts = large_host().facts()

    assert (facts.pcpus, facts.vcpus) == (8, 8)
    assert sum(len(cell.dedicated) for cell in facts.cells) == 8
