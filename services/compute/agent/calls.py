"""What a host's agent answers: each call, done by the hypervisor."""

from __future__ import annotations

import subprocess
from threading import Event

from common.bus.bus import Handlers
from common.errors import Unavailable
from services.compute.agent.host import Host
from services.compute.agent.long_work import Work
from services.compute.contract import (
    CacheImage,
    ConsoleAt,
    CopyDisk,
    CrashGuest,
    CreateGuest,
    DestroyGuest,
    DiagnoseGuest,
    DropCopies,
    KeepGuestSize,
    OpenConsole,
    PauseGuest,
    ReadConsole,
    ReadUptime,
    RebootGuest,
    RebuildGuest,
    RescueGuest,
    ResizeGuest,
    RestoreGuestSize,
    SetGuestPassword,
    StartGuest,
    StopGuest,
    SuspendGuest,
    UnrescueGuest,
    UploadCopy,
)
from services.compute.core.consoles import ConsoleKind
from services.compute.core.guests import Diagnosis, PowerState, Quiesce

handlers = Handlers()

PAST_BYTES = 8192
PLAIN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}  # environment of programs whose words are read


@handlers.serves(CacheImage)
def cache_image(call: CacheImage, host: Host) -> bool:
    was_there = host.images.has(call.image)
    host.images.ensure(call.image)
    return not was_there


@handlers.serves(CreateGuest)
def create_guest(call: CreateGuest, host: Host) -> PowerState:
    image = host.images.ensure(call.guest.image)  # the cache may have dropped it since it was fetched
    with host.turn(call.guest.server_id) as hypervisor:
        return hypervisor.create(call.guest, image)


@handlers.serves(StartGuest)
def start_guest(call: StartGuest, host: Host) -> PowerState:
    with host.turn(call.server_id) as hypervisor:
        return hypervisor.start(call.server_id)


@handlers.serves(StopGuest)
def stop_guest(call: StopGuest, host: Host) -> PowerState:
    with host.turn(call.server_id) as hypervisor:
        return hypervisor.stop(call.server_id, patience_s=call.patience_s)


@handlers.serves(RebootGuest)
def reboot_guest(call: RebootGuest, host: Host) -> PowerState:
    with host.turn(call.server_id) as hypervisor:
        return hypervisor.reboot(call.server_id, patience_s=call.patience_s)


@handlers.serves(PauseGuest)
def pause_guest(call: PauseGuest, host: Host) -> PowerState:
    with host.turn(call.server_id) as hypervisor:
        return hypervisor.pause(call.server_id)


@handlers.serves(SuspendGuest)
def suspend_guest(call: SuspendGuest, host: Host) -> PowerState:
    with host.turn(call.server_id) as hypervisor:
        return hypervisor.suspend(call.server_id)


@handlers.serves(RebuildGuest)
def rebuild_guest(call: RebuildGuest, host: Host) -> PowerState:
    image = host.images.ensure(call.guest.image)
    with host.turn(call.guest.server_id) as hypervisor:
        return hypervisor.rebuild(call.guest, image)


@handlers.serves(ResizeGuest)
def resize_guest(call: ResizeGuest, host: Host) -> PowerState:
    with host.turn(call.server_id) as hypervisor:
        return hypervisor.resize(call.server_id, call.size)


@handlers.serves(KeepGuestSize)
def keep_guest_size(call: KeepGuestSize, host: Host) -> PowerState:
    with host.turn(call.server_id) as hypervisor:
        return hypervisor.keep_size(call.server_id)


@handlers.serves(RestoreGuestSize)
def restore_guest_size(call: RestoreGuestSize, host: Host) -> PowerState:
    with host.turn(call.server_id) as hypervisor:
        return hypervisor.restore_size(call.server_id, call.disks)


@handlers.serves(RescueGuest)
def rescue_guest(call: RescueGuest, host: Host) -> PowerState:
    image = host.images.ensure(call.guest.image)
    with host.turn(call.guest.server_id) as hypervisor:
        return hypervisor.rescue(call.guest, image)


@handlers.serves(UnrescueGuest)
def unrescue_guest(call: UnrescueGuest, host: Host) -> PowerState:
    with host.turn(call.server_id) as hypervisor:
        return hypervisor.unrescue(call.server_id)


@handlers.serves(CrashGuest)
def crash_guest(call: CrashGuest, host: Host) -> None:
    with host.turn(call.server_id) as hypervisor:
        hypervisor.crash(call.server_id)


@handlers.serves(SetGuestPassword)
def set_guest_password(call: SetGuestPassword, host: Host) -> None:
    with host.turn(call.server_id) as hypervisor:
        hypervisor.set_password(call.server_id, user=call.user, password=call.password)


@handlers.serves(DiagnoseGuest)
def diagnose_guest(call: DiagnoseGuest, host: Host) -> Diagnosis:
    return host.hypervisor.diagnose(call.server_id)


@handlers.serves(CopyDisk)
def copy_disk(call: CopyDisk, host: Host) -> bool:
    """Beside all else that is done with the guest: the server's task keeps away what must not come between."""
    host.must_be_open()
    host.must_be_newest(call.server_id)
    return host.long_work.ask(
        Work(call.server_id, "copy disk", call.image_id),
        lambda over: host.hypervisor.copy_disk(call.server_id, call.image_id, quiesce=call.quiesce, over=over),
        wait_s=call.wait_s,
    )


@handlers.serves(UploadCopy)
def upload_copy(call: UploadCopy, host: Host) -> bool:
    host.must_be_open()

    def upload(over: Event) -> None:
        if not host.images.is_active(call.image_id):
            copy = host.hypervisor.copy_disk(call.server_id, call.image_id, quiesce=Quiesce.NO, over=over)
            host.images.upload(call.image_id, copy, over=over)
        host.hypervisor.drop_copies(call.server_id)

    return host.long_work.ask(Work(call.server_id, "upload copy", call.image_id), upload, wait_s=call.wait_s)


@handlers.serves(DropCopies)
def drop_copies(call: DropCopies, host: Host) -> None:
    host.must_be_newest(call.server_id)
    host.long_work.end(call.server_id)
    host.hypervisor.drop_copies(call.server_id)


@handlers.serves(DestroyGuest)
def destroy_guest(call: DestroyGuest, host: Host) -> None:
    with host.turn(call.server_id) as hypervisor:
        hypervisor.destroy(call.server_id)


@handlers.serves(ReadConsole)
def read_console(call: ReadConsole, host: Host) -> str:
    """Reading waits for nobody: a guest that hangs in its boot is when one looks."""
    return host.hypervisor.console(call.server_id, max_bytes=call.most_bytes).decode(errors="replace")


@handlers.serves(OpenConsole)
def open_console(call: OpenConsole, host: Host) -> ConsoleAt:
    """Waits for nobody, like reading.  A line that is quiet now shows what it said before."""
    if call.kind is not ConsoleKind.SERIAL:
        return host.consoles.offer(host.hypervisor.open_console(call.server_id, call.kind))
    past = host.hypervisor.console(call.server_id, max_bytes=PAST_BYTES).decode(errors="replace")
    descriptor = host.hypervisor.open_console(call.server_id, call.kind)
    return host.consoles.offer(descriptor, line=call.server_id, past=past)


@handlers.serves(ReadUptime)
def read_uptime(call: ReadUptime, host: Host) -> str:
    try:
        found = subprocess.run(["uptime"], env=PLAIN, capture_output=True, text=True, timeout=3, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable("This machine does not tell how long it has been up") from error
    return found.stdout
