"""Whether the machine was restarted since guests were last put right: then those that ran before should run again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # proc(5): new with each boot of the kernel


@dataclass(frozen=True, slots=True)
class BootMark:
    """Remembers in `file` the boot of the machine that the host was last put right in."""

    file: Path
    boot_id: Path = BOOT_ID

    def is_new(self) -> bool:
        """False on a host without memory of any boot: nothing of ours ran on it."""
        return self.file.exists() and self.file.read_text() != self.boot_id.read_text()

    def keep(self) -> None:
        """Guests are right since this boot."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(self.boot_id.read_text())
