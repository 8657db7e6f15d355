from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.image.drivers.inspect.inspector import Inspector
from services.image.settings import S3Place
from tests.harness.object_storage import ObjectStorage, object_storage
from tests.unit.image.world import World, a_world


@pytest.fixture(scope="session")
def inspector() -> Iterator[Inspector]:
    """The real one: its process starts with the first image."""
    made = Inspector(idle_s=30)
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def world(tmp_path: Path, inspector: Inspector, database_url: str) -> Iterator[World]:
    with a_world(tmp_path, inspector, database_url=database_url) as made:
        yield made


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStorage]:
    """A real server."""
    with object_storage(tmp_path_factory.mktemp("s3")) as storage:
        yield storage


@dataclass
class Bucket:
    """One bucket of the server, for one test."""

    storage: ObjectStorage
    name: str

    def place(self, **changes: Any) -> S3Place:
        return S3Place.model_validate(self.described() | changes)

    def described(self) -> dict[str, Any]:
        """As it stands in the settings."""
        return {
            "endpoint_url": self.storage.url,
            "bucket": self.name,
            "access_key": self.storage.access_key,
            "secret_key": self.storage.secret_key,
            "patience_s": 60,
        }

    def names(self) -> list[str]:
        """Everything in it, arriving things too."""
        return sorted([*self.storage.objects(self.name), *self.storage.unfinished(self.name)])

    def intrude(self, name: str) -> None:
        client = self.storage.client()
        client.put_object(Bucket=self.name, Key=name, Body=b"not ours")
        client.close()


@pytest.fixture
def bucket(s3: ObjectStorage) -> Bucket:
    return Bucket(s3, s3.bucket())
