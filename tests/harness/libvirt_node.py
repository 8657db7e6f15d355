"""A libvirtd of a test's own, in namespaces: it may be killed and started again without anybody else noticing."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from shutil import copytree
from uuid import uuid4

from tests.unit.compute.drivers.builders import eventually

OWN = ("run", "lib", "etc", "log", "cache")
MOUNTS = {
    "run": "/run/libvirt",
    "lib": "/var/lib/libvirt",
    "etc": "/etc/libvirt",
    "log": "/var/log/libvirt",
    "cache": "/var/cache/libvirt",
}


class LibvirtNode:
    def __init__(self, place: Path, *, mounts: Mapping[str, str] | None = None) -> None:
        """`mounts`: directory -> what else is mounted there, for this libvirtd alone."""
        self._place = place / "node"
        for name, target in MOUNTS.items():
            (self._place / name).mkdir(parents=True)
            Path(target).mkdir(parents=True, exist_ok=True)
        with suppress(OSError):  # what qemu can do is known already: finding out takes seconds
            copytree(Path(MOUNTS["cache"]) / "qemu", self._place / "cache" / "qemu")
        (self._place / "etc" / "libvirtd.conf").write_text(f'host_uuid = "{uuid4()}"\nauth_unix_rw = "none"\n')
        (self._place / "etc" / "virtlogd.conf").write_text("max_size = 65536\nmax_backups = 3\n")
        (self._place / "etc" / "qemu.conf").touch()
        (self._place / "etc" / "libvirt.conf").touch()
        binds = "; ".join(f"mount --bind {self._place / name} {target}" for name, target in MOUNTS.items())
        more = "".join(f"mkdir -p {target}; mount {what} {target}; " for target, what in (mounts or {}).items())
        script = f"{binds}; {more}virtlogd -d -p /run/libvirt/virtlogd.pid"
        subprocess.run(["unshare", "-m", "-n", "--propagation", "private", "sh", "-ec", script], check=True)
        self.start()

    @property
    def uri(self) -> str:
        return f"qemu+unix:///system?socket={self._place}/run/libvirt-sock"

    def start(self) -> None:
        inside = ["nsenter", "-t", str(self._pid("virtlogd")), "-m", "-n"]
        subprocess.run([*inside, "libvirtd", "-d", "-p", "/run/libvirt/libvirtd.pid"], check=True)
        assert eventually(lambda: self.virsh("uri", check=False).returncode == 0)
        (self._place / "lib" / "qemu").chmod(0o711)

    def kill(self, how: signal.Signals) -> None:
        pid = self._pid("libvirtd")
        os.kill(pid, how)
        assert eventually(lambda: not Path(f"/proc/{pid}/exe").exists())

    def qemu_pid(self, domain: str) -> int:
        return int((self._place / "run" / "qemu" / f"{domain}.pid").read_text())

    def forget_guests(self) -> None:
        """Which of them ran: /run is empty after a machine's restart."""
        for status in (self._place / "run" / "qemu").glob("*.xml"):
            status.unlink()

    def virsh(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = ["virsh", "-q", "-c", self.uri, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or not check, done.stderr
        return done

    def stop(self) -> None:
        for name in self.virsh("list", "--name", check=False).stdout.split():
            self.virsh("destroy", name, check=False)
        for daemon in ("libvirtd", "virtlogd"):
            try:
                pid = self._pid(daemon)
                os.kill(pid, signal.SIGTERM)
            except (FileNotFoundError, ProcessLookupError):
                continue
            assert eventually(lambda pid=pid: not Path(f"/proc/{pid}").exists())  # type: ignore[misc]

    def _pid(self, daemon: str) -> int:
        return int((self._place / "run" / f"{daemon}.pid").read_text())
