"""Every hypervisor keeps the same promises: the simulated one, libvirt's test driver, and libvirt with real guests."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from common.errors import Conflict, InvalidInput, NotFound
from services.compute.core.guests import GuestFound, GuestSize, PowerState
from services.compute.core.hypervisors import Hypervisor
from services.compute.drivers.libvirt import LibvirtHypervisor
from services.compute.drivers.simulated import SimulatedHypervisor, SimulatedOptions
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
        simulated = SimulatedHypervisor(SimulatedOptions(host="host-1", reads_images=True))
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
    hypervisor.restore_size(server_id)  # there is no way back any more
    hypervisor.start(server_id)
    assert hypervisor.diagnose(server_id).memory_kib == 256 * 1024


def test_a_resized_guest_can_be_what_it_was(hypervisor: Hypervisor, image: Path) -> None:
    server_id = a_guest(hypervisor, image)
    hypervisor.resize(server_id, LARGER)
    hypervisor.start(server_id)

    assert [hypervisor.restore_size(server_id) for _ in range(2)] == [PowerState.SHUTDOWN] * 2

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


def test_changes_are_told_to_whoever_watches(hypervisor: Hypervisor, image: Path) -> None:
    spec = a_spec()
    told: list[tuple[UUID, PowerState | None]] = []
    hypervisor.watch(lambda server_id, state: told.append((server_id, state)))

    def was_told(state: PowerState | None) -> bool:
        return eventually(lambda: bool(told) and told[-1] == (spec.server_id, state), within_s=5)

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
