"""Whether the machine was restarted since guests were last put right: then those that ran before should run again."""

from __future__ import annotations

import os
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
        return self.file.exists() and not self._is_of_this_boot()

    def keep(self) -> None:
        """Guests are right since this boot.  Written once in each, and whole also after a loss of power."""
        if self._is_of_this_boot():
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        half = self.file.with_suffix(".half")
        half.unlink(missing_ok=True)
        half.touch(mode=0o600)
        with half.open("w") as file:
            file.write(self.boot_id.read_text())
            file.flush()
            os.fsync(file.fileno())
        half.replace(self.file)

    def _is_of_this_boot(self) -> bool:
        return self.file.exists() and self.file.read_text() == self.boot_id.read_text()
