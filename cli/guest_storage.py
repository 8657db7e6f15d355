"""Where a cloud's guests keep their disks: below its data directory if guests can get there."""

from __future__ import annotations

import stat
from pathlib import Path

from cli.places import Places
from cli.progress import note

ELSEWHERE = Path("/var/lib/pileus")


def choose(places: Places, cloud_id: str) -> Path:
    """A directory that every account may pass to: each guest's qemu runs as an account of its own."""
    if all(_lets_pass(folder) for folder in (places.data, *places.data.parents)):
        return places.data / "guests"
    note(f"Guests cannot pass to {places.data}: their disks will be in {ELSEWHERE / cloud_id}")
    return ELSEWHERE / cloud_id


def _lets_pass(folder: Path) -> bool:
    return not folder.exists() or bool(folder.stat().st_mode & stat.S_IXOTH)
