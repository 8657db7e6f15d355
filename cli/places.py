"""Where the things of one cloud are, below its data directory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import click

from common.errors import InvalidInput, NotFound

DEFAULT = Path("/var/lib/pileus/default")

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT,
    show_default=True,
    help="Directory that holds the cloud's databases, images and settings.",
)


@dataclass(frozen=True, slots=True)
class Places:
    """Paths below one data directory."""

    data: Path

    @property
    def settings(self) -> Path:
        return self.data / "pileus.toml"

    @property
    def clouds(self) -> Path:
        return self.data / "clouds.yaml"

    @property
    def databases(self) -> Path:
        return self.data / "databases"

    @property
    def images(self) -> Path:
        return self.data / "images"

    @property
    def log(self) -> Path:
        return self.data / "pileus.log"

    @property
    def pid(self) -> Path:
        return self.data / "pileus.pid"

    @property
    def lock(self) -> Path:
        return self.data / "pileus.lock"

    @property
    def logs(self) -> Path:
        """Logs of a distributed cloud's processes."""
        return self.data / "log"

    @property
    def run(self) -> Path:
        """Pid files of a distributed cloud's processes."""
        return self.data / "run"

    @classmethod
    def at(cls, data: Path) -> Places:
        return cls(data.absolute())

    @classmethod
    def existing(cls, data: Path) -> Places:
        """The places of a cloud that was made before.  NotFound"""
        places = cls.at(data)
        if not places.settings.exists():
            raise NotFound(
                f"There is no cloud in {places.data}. Make one with: pileus up --data {places.data} --detach"
            )
        return places

    def make(self) -> None:
        """Create the directories.  Others may pass through to what a guest needs, but list and read nothing of ours."""
        try:
            for folder in (self.data, self.databases, self.images):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.data.chmod(0o711)
        except OSError as error:
            raise InvalidInput(f"Cannot use {self.data} as the data directory: {error.strerror}") from error


def write_private(path: Path, text: str) -> None:
    """Replace a file as a whole; nobody else may read it, not for a moment."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
