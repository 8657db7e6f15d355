"""What lies in a directory that others work in meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def files_below(*roots: Path) -> Iterator[Path]:
    """Every file; what goes while one looks is left out, whereas `rglob` fails where a directory goes."""
    for root in roots:
        for folder, _, names in os.walk(root):
            yield from (path for name in names if (path := Path(folder, name)).is_file())
