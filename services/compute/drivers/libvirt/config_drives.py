"""The config drive: a small read-only disk that tells a guest who it is, without a network.

Label and layout: OpenStack, "Store metadata on a configuration drive" (ISO 9660 or VFAT, labelled config-2).
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from common.errors import HostFailed, InvalidInput

LABEL = "config-2"
TIMEOUT_S = 30
VFAT_BYTES = 64 << 20


def build_config_drive(files: Mapping[str, str | bytes], target: Path, *, form: str = "iso9660") -> None:
    """Write an image with `files` (path inside -> content); `target` is whole or not there.  `form`: a key of `FORMS`."""
    with TemporaryDirectory(dir=target.parent, prefix="config-") as scratch:
        content = Path(scratch, "content")
        content.mkdir()
        for name, text in files.items():
            path = content / _inside(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode(errors="replace"))
        image = Path(scratch, "drive")
        FORMS[form](content, image)
        image.chmod(0o600)
        image.rename(target)


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
        raise InvalidInput("A config drive can't hold a file of that name", name=name)
    return path


def _iso9660(content: Path, image: Path) -> None:
    options = ["-quiet", "-V", LABEL, "-R", "-J", "-l", "-ldots", "-allow-lowercase", "-allow-multidot"]
    _run("genisoimage", *options, "-o", str(image), str(content))


def _vfat(content: Path, image: Path) -> None:
    """For guests that know no ISO 9660.  Of 64 MiB, as Nova makes it; most of that is a hole."""
    with image.open("wb") as opened:
        opened.truncate(VFAT_BYTES)
    _run("mkfs.vfat", "-n", LABEL, str(image))
    _run("mcopy", "-s", "-Q", "-i", str(image), *(str(path) for path in sorted(content.iterdir())), "::")


FORMS = {"iso9660": _iso9660, "vfat": _vfat}


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostFailed(f"This host can't make config drives with {command[0]}") from error
    if done.returncode:
        raise HostFailed("The config drive could not be made", said=done.stderr.decode(errors="replace")[-500:])
