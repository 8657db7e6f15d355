from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread, Timer
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from common.bus.bus import Handlers
from common.bus.memory import MemoryBus
from common.errors import Conflict, DeadlineExceeded, HostFailed, NotFound, PlatformError, Unauthenticated, Unavailable
from common.process import Part
from services.compute.agent import changes as agent_changes
from services.compute.agent.boots import BootMark
from services.compute.agent.changes import Changes
from services.compute.agent.host import Host
from services.compute.agent.images import HostImages
from services.compute.agent.main import assemble
from services.compute.contract import (
    CacheImage,
    CompareGuests,
    CopyDisk,
    CreateGuest,
    DestroyGuest,
    DropCopies,
    GuestChanged,
    GuestFate,
    HostAlive,
    ReadConsole,
    ReadUptime,
    RebootGuest,
    RegisterHost,
    StartGuest,
    StopGuest,
    UploadCopy,
)
from services.compute.core.guests import GuestImage, GuestSpec, PowerState
from services.compute.core.hypervisors import HostFacts
from services.compute.drivers.images import ImageCache
from services.compute.drivers.simulated import SimulatedHypervisor, SimulatedOptions
from services.compute.settings import AgentSettings
from tests.harness.waiting import until

BYTES = b"an image" * 500
IMAGE = GuestImage(id=uuid4(), sha512=hashlib.sha512(BYTES).hexdigest(), size_bytes=len(BYTES), disk_format="raw")


class ControlPlane:
    """Remembers what it was told, and wants what the test says."""

    def __init__(self, bus: MemoryBus) -> None:
        self.registered: list[str] = []
        self.facts: list[HostFacts] = []
        self.alive: list[str] = []
        self.changes: list[GuestChanged] = []
        self.compared: list[CompareGuests] = []
        self.fates: Callable[[CompareGuests], list[GuestFate]] = lambda call: []
        self.knows_host = True
        self.is_away = self.is_busy = False
        self._bus = bus

    def serve(self) -> None:
        handlers = Handlers()

        @handlers.serves(RegisterHost)
        def register(call: RegisterHost) -> UUID:
            self._answer()
            self.registered.append(call.facts.host)
            self.facts.append(call.facts)
            self.knows_host = True
            return uuid4()

        @handlers.serves(HostAlive)
        def beat(call: HostAlive) -> bool:
            self._answer()
            self.alive.append(call.host)
            return self.knows_host

        @handlers.serves(CompareGuests)
        def compare(call: CompareGuests) -> list[GuestFate]:
            self._answer()
            self.compared.append(call)
            return self.fates(call)

        @handlers.serves(GuestChanged)
        def changed(call: GuestChanged) -> None:
            self._answer()
            if self.is_busy:
                raise Conflict("Something is being done to the server")
            self.changes.append(call)

        self._bus.serve("compute", handlers)

    def _answer(self) -> None:
        if self.is_away:
            raise Unavailable("The control plane is away")


class Images:
    def __init__(self) -> None:
        self.downloads = 0
        self.refuses = False
        self.local: Path | None = None
        self.statuses: dict[UUID, str] = {}
        self.uploaded: dict[UUID, bytes] = {}
        self.go_on = Event()
        self.go_on.set()

    @contextmanager
    def download(self, image_id: UUID) -> Iterator[Iterator[bytes]]:
        if self.refuses:
            raise Unauthenticated("token")
        self.downloads += 1
        yield iter([BYTES])

    def local_path(self, image_id: UUID) -> Path | None:
        return self.local

    def status(self, image_id: UUID) -> str:
        if image_id not in self.statuses:
            raise NotFound(f"No image found with ID {image_id}")
        return self.statuses[image_id]

    def upload(self, image_id: UUID, pieces: Iterator[bytes], size: int) -> None:
        if self.statuses[image_id] != "queued":
            raise Conflict("Another upload brings its bytes")
        self.statuses[image_id] = "saving"
        self.go_on.wait(60)
        try:
            self.uploaded[image_id] = b"".join(pieces)
        except Conflict:
            self.statuses[image_id] = "queued"
            raise
        assert len(self.uploaded[image_id]) == size
        self.statuses[image_id] = "active"


class World:
    """An agent of one simulated host, and what is around it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.bus = MemoryBus()
        self.control = ControlPlane(self.bus)
        self.images = Images()
        self.forgotten_tokens = 0
        self.hypervisor = SimulatedHypervisor(SimulatedOptions(host="sim-1", copies=directory / "copies"))
        cache = ImageCache(directory / "images")
        self.host = Host(
            "sim-1", self.hypervisor, HostImages(cache, self.images, forget_token=self._forget, max_bytes=0)
        )
        self.settings = AgentSettings(
            storage=directory, heartbeat_s=0.02, reconcile_s=0.05, service_password=SecretStr("x")
        )
        self.part: Part | None = None

    def _forget(self) -> None:
        self.forgotten_tokens += 1

    def start(self) -> None:
        self.part = assemble([self.host], self.bus, self.settings)
        self.part.start()

    def started(self) -> World:
        self.control.serve()
        self.start()
        until(lambda: self.control.compared, every_s=0.01, what="the first comparison")
        return self

    def close(self) -> None:
        if self.part is not None:
            self.part.stop()
        self.bus.close()

    def a_guest(self) -> UUID:
        server_id = uuid4()
        self.bus.call(CreateGuest(guest=a_spec(server_id)), host="sim-1")
        return server_id

    def state(self, server_id: UUID) -> PowerState | None:
        try:
            return self.hypervisor.state(server_id)
        except NotFound:
            return None


def a_spec(server_id: UUID) -> GuestSpec:
    return GuestSpec(
        server_id=server_id, name="web", project_id="p", user_id="u", flavor="tiny", vcpus=1, memory_mib=128,
        root_gib=1, image=IMAGE,
    )  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


# ---------------------------------------------------------------- calls


def test_each_call_is_done_by_the_hypervisor(world: World) -> None:
    world.started()
    bus, server_id = world.bus, uuid4()

    states = [
        bus.call(CreateGuest(guest=a_spec(server_id)), host="sim-1"),
        bus.call(StopGuest(server_id=server_id), host="sim-1"),
        bus.call(StartGuest(server_id=server_id), host="sim-1"),
        bus.call(RebootGuest(server_id=server_id), host="sim-1"),
    ]
    console = bus.call(ReadConsole(server_id=server_id), host="sim-1")
    bus.call(DestroyGuest(server_id=server_id), host="sim-1")

    assert states == [PowerState.RUNNING, PowerState.SHUTDOWN, PowerState.RUNNING, PowerState.RUNNING]
    assert "rebooting" in console
    assert world.state(server_id) is None


def test_files_that_fail_a_host_are_its_own_failing_and_another_may_do_better(world: World) -> None:
    world.started()
    broken = NotADirectoryError(20, "Not a directory", "/var/lib/pileus/guests/disks/some")
    world.hypervisor.faults.fail_next("create", broken)

    with pytest.raises(HostFailed) as failed:
        world.bus.call(CreateGuest(guest=a_spec(uuid4())), host="sim-1")

    assert failed.value.message == "The host's files fail it: Not a directory"


def test_an_image_is_fetched_once(world: World) -> None:
    world.started()

    fetched = [world.bus.call(CacheImage(image=IMAGE), host="sim-1") for _ in range(3)]

    assert fetched == [True, False, False] and world.images.downloads == 1


def test_what_cached_images_take_is_told_as_disk_that_no_guest_can_have(world: World) -> None:
    world.started()
    assert [facts.disk_reserved_gib for facts in world.control.facts] == [0]

    world.bus.call(CacheImage(image=IMAGE), host="sim-1")

    until(lambda: len(world.control.facts) > 1, every_s=0.01, what="what is told of the host anew")
    assert world.control.facts[-1].disk_reserved_gib == 1


def test_an_image_on_this_machine_is_not_downloaded(world: World) -> None:
    world.started()
    world.images.local = world.directory / "store"
    world.images.local.write_bytes(BYTES)

    world.bus.call(CacheImage(image=IMAGE), host="sim-1")

    assert world.images.downloads == 0


def test_a_token_that_is_not_taken_is_renewed_for_the_next_try(world: World) -> None:
    world.started()
    world.images.refuses = True

    with pytest.raises(Unavailable):
        world.bus.call(CacheImage(image=IMAGE), host="sim-1")

    assert world.forgotten_tokens == 1


def test_calls_for_one_guest_take_turns_and_others_do_not_wait(world: World) -> None:
    world.started()
    slow, other = world.a_guest(), world.a_guest()
    world.hypervisor.faults.hang_next("stop")
    stopping = Thread(target=lambda: world.bus.call(StopGuest(server_id=slow), host="sim-1"))
    stopping.start()
    until(lambda: world.host.is_at_work_on(slow), every_s=0.01)
    ended = Event()

    def start_slow() -> None:
        world.bus.call(StartGuest(server_id=slow), host="sim-1")
        ended.set()

    starting = Thread(target=start_slow)
    starting.start()
    other_state = world.bus.call(RebootGuest(server_id=other), host="sim-1")
    waited = not ended.wait(0.1)
    world.hypervisor.faults.release()
    stopping.join(60)
    starting.join(60)

    assert other_state is PowerState.RUNNING
    assert waited and ended.is_set()
    assert world.state(slow) is PowerState.RUNNING


def test_a_turn_that_comes_after_the_caller_gave_up_is_not_taken(world: World) -> None:
    world.started()
    guest = world.a_guest()
    world.hypervisor.faults.fail_next("start", HostFailed("the first start"))
    world.hypervisor.faults.hang_next("stop")
    stopping = Thread(target=lambda: world.bus.call(StopGuest(server_id=guest), host="sim-1"))
    stopping.start()
    until(lambda: world.host.is_at_work_on(guest), every_s=0.01)

    with pytest.raises(DeadlineExceeded):
        world.bus.call(StartGuest(server_id=guest), host="sim-1", timeout_s=0.1)
    world.hypervisor.faults.release()
    stopping.join(60)

    world.bus.close()  # returns when every turn was taken or left

    with pytest.raises(HostFailed, match="the first start"):
        world.hypervisor.start(guest)


def test_a_stopping_agent_finishes_what_it_holds_and_begins_nothing(world: World) -> None:
    world.started()
    server_id, other = world.a_guest(), world.a_guest()
    world.hypervisor.faults.hang_next("stop")
    answers: list[PowerState] = []
    call = Thread(target=lambda: answers.append(world.bus.call(StopGuest(server_id=server_id), host="sim-1")))
    call.start()
    until(lambda: world.host.is_at_work_on(server_id), every_s=0.01)
    assert world.part is not None

    stopping = Thread(target=world.part.stop)
    stopping.start()
    until(lambda: world.host._is_closing, every_s=0.01)
    with pytest.raises(Unavailable):
        world.bus.call(StartGuest(server_id=other), host="sim-1")
    world.hypervisor.faults.release()
    call.join(60)
    stopping.join(60)

    assert answers == [PowerState.SHUTDOWN]


# ---------------------------------------------------------------- presence


def test_a_host_registers_once_the_control_plane_answers(world: World) -> None:
    world.start()

    world.control.serve()

    until(lambda: world.control.registered == ["sim-1"], every_s=0.01, what="registering")
    until(lambda: len(world.control.alive) > 3, every_s=0.01, what="heartbeats")


def test_a_host_that_was_forgotten_registers_again(world: World) -> None:
    world.started()

    world.control.knows_host = False

    until(lambda: len(world.control.registered) == 2, every_s=0.01, what="registering again")


def test_a_host_whose_hypervisor_is_away_gives_no_sign_of_life_and_compares_when_it_is_back(world: World) -> None:
    world.settings = world.settings.model_copy(update={"reconcile_s": 1000})
    world.started()
    before = len(world.control.compared)
    for _ in range(20):
        world.hypervisor.faults.fail_next("ping", Unavailable("libvirt is away"))

    until(lambda: len(world.control.compared) > before, every_s=0.01, what="a comparison")


def test_nothing_is_lost_while_the_control_plane_is_away(world: World) -> None:
    world.started()
    server_id = world.a_guest()
    world.control.is_away = True
    world.hypervisor.happen(server_id, PowerState.SHUTDOWN)

    world.control.is_away = False

    found = until(lambda: world.control.changes, every_s=0.01, what="the change")
    assert (found[0].server_id, found[0].power_state) == (server_id, PowerState.SHUTDOWN)


def test_a_guest_whose_server_is_busy_is_looked_at_again_and_holds_up_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_changes, "LOOK_AGAIN_S", 0.02)
    world.started()
    server_id, other = world.a_guest(), world.a_guest()
    world.control.is_busy = True
    world.hypervisor.happen(server_id, PowerState.PAUSED)
    world.hypervisor.happen(server_id, PowerState.SHUTDOWN)
    world.control.is_busy = False
    world.hypervisor.happen(other, PowerState.CRASHED)

    until(lambda: len(world.control.changes) == 2, every_s=0.01, what="both changes")

    told = {change.server_id: change.power_state for change in world.control.changes}
    assert told == {server_id: PowerState.SHUTDOWN, other: PowerState.CRASHED}


def test_what_the_agent_did_itself_is_not_told_as_a_change(world: World) -> None:
    world.started()
    quiet, loud = world.a_guest(), world.a_guest()

    world.bus.call(StopGuest(server_id=quiet), host="sim-1")
    world.hypervisor.happen(loud, PowerState.CRASHED)

    changes = until(lambda: world.control.changes, every_s=0.01)
    assert [change.server_id for change in changes] == [loud]


# ---------------------------------------------------------------- comparison


def test_guests_are_brought_to_what_the_control_plane_wants(world: World) -> None:
    world.started()
    unwanted, ended, left_alone = world.a_guest(), world.a_guest(), world.a_guest()
    for server_id in (ended, left_alone):
        world.bus.call(StopGuest(server_id=server_id), host="sim-1")

    world.control.fates = lambda call: [
        GuestFate(server_id=unwanted, fate="remove"),
        GuestFate(server_id=ended, fate="run"),
        GuestFate(server_id=left_alone, fate="keep"),
    ]

    until(lambda: world.state(unwanted) is None, every_s=0.01, what="the removal")
    until(lambda: world.state(ended) is PowerState.RUNNING, every_s=0.01, what="the start")
    assert world.state(left_alone) is PowerState.SHUTDOWN


def test_that_a_guest_was_started_again_is_told_although_libvirt_tells_of_the_start_too(world: World) -> None:
    world.started()
    server_id = world.a_guest()
    world.bus.call(StopGuest(server_id=server_id), host="sim-1")

    def run_it(call: CompareGuests) -> list[GuestFate]:
        world.control.fates = lambda call: []
        world.control.is_away = True
        return [GuestFate(server_id=server_id, fate="run")]

    world.control.fates = run_it
    until(lambda: world.state(server_id) is PowerState.RUNNING, every_s=0.01, what="the start")
    until(lambda: not world.host.is_at_work_on(server_id), every_s=0.01, what="the end of the turn")
    world.hypervisor.happen(server_id, PowerState.RUNNING)
    world.control.is_away = False

    changes = until(lambda: world.control.changes, every_s=0.01, what="the change")
    assert changes[0].restarted


def test_that_a_guest_was_started_again_is_told_once_though_libvirt_tells_of_it_while_it_is_told(world: World) -> None:
    server_id, told = uuid4(), Event()
    bus, heard = MemoryBus(), list[GuestChanged]()
    changes = Changes(bus)
    plane = Handlers()

    @plane.serves(GuestChanged)
    def hear(call: GuestChanged) -> None:
        heard.append(call)
        if not told.is_set():
            told.set()
            changes.gone(world.host, server_id)

    bus.serve("compute", plane)
    changes.restarted(world.host, server_id, PowerState.RUNNING)

    changes.send_waiting()
    changes.send_waiting()

    bus.close()
    assert [change.restarted for change in heard] == [True, False]


def test_a_guest_that_should_be_here_and_is_not_is_told_as_gone(world: World) -> None:
    world.started()
    lost = uuid4()

    world.control.fates = lambda call: [GuestFate(server_id=lost, fate="keep")]

    [change, *_] = until(lambda: world.control.changes, every_s=0.01)
    assert (change.server_id, change.power_state) == (lost, None)


def test_one_guest_that_cannot_be_repaired_does_not_keep_the_others_from_it(world: World) -> None:
    world.started()
    stuck, unwanted = world.a_guest(), world.a_guest()
    for _ in range(100):
        world.hypervisor.faults.fail_next("start", PlatformError("broken disk"))

    world.control.fates = lambda call: [
        GuestFate(server_id=stuck, fate="run"), GuestFate(server_id=unwanted, fate="remove"),
    ]  # fmt: skip

    until(lambda: world.state(unwanted) is None, every_s=0.01, what="the removal")


def after_a_restart(world: World, error: PlatformError, times: int) -> UUID:
    """A guest whose next starts fail, on a host that was restarted and is asked to run it again."""
    world.started()
    guest = world.a_guest()
    world.bus.call(StopGuest(server_id=guest), host="sim-1")
    until(lambda: not world.host.is_at_work_on(guest), every_s=0.01, what="the end of the turn")
    for _ in range(times):
        world.hypervisor.faults.fail_next("start", error)
    world.control.fates = lambda call: (
        [GuestFate(server_id=guest, fate="run")] if call.after_boot and not world.control.changes else []
    )
    (world.directory / "sim-1.boot").write_text("another boot")
    return guest


def test_a_guest_that_cannot_start_after_a_restart_is_told_after_a_few_tries_and_the_boot_is_over(world: World) -> None:
    guest = after_a_restart(world, HostFailed("The disk is gone"), 1000)

    [change] = until(lambda: world.control.changes, every_s=0.01, what="the failure")
    until(lambda: not world.control.compared[-1].after_boot, every_s=0.01, what="an ordinary comparison")

    assert (change.server_id, change.power_state, change.failure) == (guest, PowerState.SHUTDOWN, "The disk is gone")
    assert sum(call.after_boot for call in world.control.compared) >= 3


def test_a_libvirt_that_is_not_ready_does_not_count_as_a_guest_that_cannot_start(world: World) -> None:
    guest = after_a_restart(world, Unavailable("libvirt is not ready"), 10)

    until(lambda: world.state(guest) is PowerState.RUNNING, every_s=0.01, what="the start")

    assert all(change.failure is None for change in world.control.changes)


def test_only_a_new_boot_of_the_machine_is_told_as_one(tmp_path: Path) -> None:
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("first")
    mark = BootMark(tmp_path / "state" / "mark", boot_id)

    fresh = mark.is_new()
    mark.keep()
    same = mark.is_new()
    boot_id.write_text("second")
    restarted = mark.is_new()

    assert (fresh, same, restarted) == (False, False, True)


def test_after_a_restart_of_the_machine_it_is_asked_what_should_run(world: World) -> None:
    (world.directory / "sim-1.boot").write_text("another boot")

    world.started()

    assert world.control.compared[0].after_boot
    until(lambda: not world.control.compared[-1].after_boot, every_s=0.01, what="an ordinary comparison")


def test_a_new_host_remembers_the_boot_that_it_was_first_compared_in(world: World) -> None:
    world.started()

    mark = BootMark(world.directory / "sim-1.boot")
    until(mark.file.exists, every_s=0.01, what="the mark of this boot")
    assert not mark.is_new()
    assert mark.file.read_text() == mark.boot_id.read_text()


# ---------------------------------------------------------------- rooms


def test_the_agent_never_loads_a_database() -> None:
    look = (
        "import sys, services.compute.agent.main; print([m for m in sys.modules if m in ('sqlalchemy', 'common.db')])"
    )

    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"


def test_a_host_says_how_long_it_has_been_up_in_the_words_that_clients_take_apart(world: World) -> None:
    world.started()

    said = world.bus.call(ReadUptime(), host="sim-1")

    assert re.search(r"\sup\s.+,\s+\d+ users?,\s+load average:", said)


# ---------------------------------------------------------------- copies of disks


def copy_and_upload(world: World, server_id: UUID, image_id: UUID) -> bool:
    done = world.bus.call(CopyDisk(server_id=server_id, image_id=image_id), host="sim-1")
    return done and world.bus.call(UploadCopy(server_id=server_id, image_id=image_id), host="sim-1")


def copies(world: World) -> list[Path]:
    return list((world.directory / "copies").glob("*"))


def test_a_copy_is_sent_to_the_image_service_and_removed(world: World) -> None:
    server_id, image_id = world.started().a_guest(), uuid4()
    world.images.statuses[image_id] = "queued"

    assert copy_and_upload(world, server_id, image_id)

    assert world.images.uploaded[image_id].startswith(b"QFI\xfb") and copies(world) == []


def test_an_upload_whose_answer_was_lost_is_done(world: World) -> None:
    server_id, image_id = world.started().a_guest(), uuid4()
    world.images.statuses[image_id] = "queued"

    assert copy_and_upload(world, server_id, image_id)
    assert world.bus.call(UploadCopy(server_id=server_id, image_id=image_id), host="sim-1")

    assert copies(world) == []


def test_who_asks_while_it_is_under_way_is_told_so(world: World) -> None:
    server_id, image_id = world.started().a_guest(), uuid4()
    world.images.statuses[image_id] = "queued"
    world.images.go_on.clear()
    upload = UploadCopy(server_id=server_id, image_id=image_id, wait_s=0.01)

    assert world.bus.call(upload, host="sim-1") is False
    assert world.bus.call(upload, host="sim-1") is False
    world.images.go_on.set()

    assert until(lambda: world.bus.call(upload, host="sim-1"), what="the end of the upload")
    assert world.images.statuses[image_id] == "active"


def test_an_upload_that_nobody_wants_any_more_ends_and_leaves_no_copy(world: World) -> None:
    server_id, image_id = world.started().a_guest(), uuid4()
    world.images.statuses[image_id] = "queued"
    world.images.go_on.clear()
    world.bus.call(CopyDisk(server_id=server_id, image_id=image_id), host="sim-1")
    world.bus.call(UploadCopy(server_id=server_id, image_id=image_id, wait_s=0), host="sim-1")

    Timer(0.1, world.images.go_on.set).start()
    world.bus.call(DropCopies(server_id=server_id), host="sim-1")

    assert copies(world) == [] and image_id not in world.images.uploaded


def test_while_an_earlier_upload_is_given_up_a_new_one_waits(world: World) -> None:
    server_id, image_id = world.started().a_guest(), uuid4()
    world.images.statuses[image_id] = "saving"

    with pytest.raises(Unavailable):
        copy_and_upload(world, server_id, image_id)


def test_an_image_that_was_deleted_ends_its_upload(world: World) -> None:
    server_id = world.started().a_guest()

    with pytest.raises(NotFound):
        copy_and_upload(world, server_id, uuid4())


def test_a_copy_that_nobody_wants_is_found_and_removed(world: World) -> None:
    server_id = world.started().a_guest()
    world.bus.call(CopyDisk(server_id=server_id, image_id=uuid4()), host="sim-1")
    assert len(copies(world)) == 1

    world.control.fates = lambda call: [GuestFate(server_id=one, fate="tidy") for one in call.copied]

    until(lambda: copies(world) == [], what="the copy's end")
