"""The guest image that a new cloud comes with: built once from Debian packages, then taken from a cache."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cli.running import turn
from common.errors import Unavailable

BUILDER = Path(__file__).parents[1] / "deploy/guest-image/build.sh"
NAME = "pileus-guest"


@dataclass(frozen=True, slots=True)
class GuestImage:
    file: Path
    key: str  # of all that went into it


def cache() -> Path:
    """Where built images are kept: for the machine if we may, else for this user."""
    if os.geteuid() == 0:
        return Path("/var/cache/pileus")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pileus"


def ensure(say: Callable[[str], None]) -> GuestImage:
    """The image, built now if it is not in the cache; `say` hears how that goes.  Unavailable with the builder's reason."""
    key = _run([str(BUILDER), "--key"], lambda line: None).strip()
    image = GuestImage(cache() / f"pileus-guest-{key}.qcow2", key)
    if not image.file.exists():
        with turn(cache() / "build.lock"):
            if not image.file.exists():
                _run([str(BUILDER), str(image.file)], say)
    return image


def _run(command: list[str], say: Callable[[str], None]) -> str:
    """What the command printed, line by line to `say` as well."""
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            say(line.strip())
    if process.returncode != 0:
        raise Unavailable(f"The guest image cannot be built: {lines[-1].strip() if lines else 'no reason given'}")
    return "".join(lines)
