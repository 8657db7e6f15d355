"""A guest under plain qemu: what the guest image does when nothing of Pileus is around it."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Thread

from tests.harness.waiting import until

BOOT_S = 180  # a deadline for a busy machine, not an expectation: it takes about five


def drain(connection: socket.socket) -> None:
    """Read what nobody wants, until the other side ends: unread output would stop the guest's console."""
    with contextlib.suppress(OSError):
        while connection.recv(4096):
            pass


class BareGuest:
    """One running qemu, its serial console both as a log and as a keyboard, and its monitor."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.keyboard: socket.socket | None = None

    @property
    def console(self) -> str:
        """All that the guest has printed."""
        log = self.folder / "console.log"
        return log.read_text(errors="replace").replace("\r", "") if log.exists() else ""

    def wait_for(self, text: str, *, within_s: float = BOOT_S) -> None:
        def shown_or_dead() -> bool:
            return text in self.console or self.process.poll() is not None

        until(shown_or_dead, within_s=within_s, what=f"{text!r} on the console:\n{self.console}")
        assert text in self.console, f"qemu ended with {self.process.poll()}:\n{self.console}"

    def type(self, line: str) -> None:
        """Give one line to whoever reads the serial console."""
        if self.keyboard is None:
            self.keyboard = socket.socket(socket.AF_UNIX)
            self.keyboard.connect(str(self.folder / "serial"))
            Thread(target=drain, args=(self.keyboard,), daemon=True).start()
        self.keyboard.sendall(line.encode() + b"\n")

    def press_power_button(self) -> None:
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(self.folder / "monitor"))
            stream = monitor.makefile("rw")
            stream.readline()  # the greeting
            for command in ("qmp_capabilities", "system_powerdown"):
                stream.write(json.dumps({"execute": command}) + "\n")
                stream.flush()
                answer = json.loads(stream.readline())
                assert "error" not in answer, answer

    def switches_itself_off(self, *, within_s: float) -> None:
        until(lambda: self.process.poll() is not None, within_s=within_s, what="the guest to end")
        assert self.process.returncode == 0


@contextlib.contextmanager
def running_guest(
    image: Path, folder: Path, *, disk_mib: int = 1024, options: Sequence[str] = ()
) -> Iterator[BareGuest]:
    """A guest whose root disk is an overlay on the image; it is gone when the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    disk = folder / "root.qcow2"
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(image), str(disk), f"{disk_mib}M"]
    subprocess.run(create, check=True)
    # fmt: off
    command = [
        "qemu-system-x86_64", "-accel", "tcg", "-M", "q35", "-m", "256", "-nodefaults", "-display", "none",
        "-drive", f"file={disk},if=virtio,format=qcow2",
        "-chardev", f"socket,id=serial,path={folder}/serial,server=on,wait=off,logfile={folder}/console.log",
        "-serial", "chardev:serial",
        "-qmp", f"unix:{folder}/monitor,server=on,wait=off",
        *options,
    ]
    # fmt: on
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    guest = BareGuest(process, folder)
    try:
        yield guest
    finally:
        process.kill()
        process.wait()
        if guest.keyboard is not None:
            guest.keyboard.close()
