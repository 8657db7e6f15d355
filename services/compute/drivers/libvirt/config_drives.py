"""The config drive: a small read-only disk that tells a guest who it is, without a network.

Label and layout: OpenStack, "Store metadata on a configuration drive" (ISO 9660, labelled config-2).
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from common.errors import HostFailed, InvalidInput

LABEL = "config-2"
TIMEOUT_S = 30


def build_config_drive(files: Mapping[str, str], target: Path) -> None:
    """Write an ISO 9660 image with `files` (path inside -> text); `target` is whole or not there."""
    with TemporaryDirectory(dir=target.parent, prefix="config-") as scratch:
        content = Path(scratch, "content")
        content.mkdir()
        for name, text in files.items():
            path = content / _inside(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode(errors="replace"))
        image = Path(scratch, "drive")
        _run_genisoimage(content, image)
        image.chmod(0o600)
        image.rename(target)


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
        raise InvalidInput("A config drive can't hold a file of that name", name=name)
    return path


def _run_genisoimage(content: Path, image: Path) -> None:
    options = ["-quiet", "-V", LABEL, "-R", "-J", "-l", "-ldots", "-allow-lowercase", "-allow-multidot"]
    command = ["genisoimage", *options, "-o", str(image), str(content)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostFailed("This host can't make config drives with genisoimage") from error
    if done.returncode:
        raise HostFailed("The config drive could not be made", said=done.stderr.decode(errors="replace")[-500:])
