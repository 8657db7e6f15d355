"""Images that take long to be looked into: they are waited for, hold up nobody, and leave nothing if it takes too long."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from services.image.api import receiving
from services.image.api.receiving import sweep
from services.image.core.formats import Finding
from services.image.db.tables import ImageRow
from services.image.drivers.inspect.inspector import Inspector
from tests.harness.waiting import until
from tests.unit.image.world import World, a_world


@dataclass
class Gate:
    """The real inspector, behind a gate."""

    behind: Inspector
    asked: threading.Event = field(default_factory=threading.Event)
    is_open: threading.Event = field(default_factory=threading.Event)

    def inspect(self, path: Path, container: str | None = None) -> Finding:
        self.asked.set()
        assert self.is_open.wait(100)
        return self.behind.inspect(path, container)

    def wake(self) -> None:
        self.behind.wake()


@pytest.fixture
def gate(inspector: Inspector) -> Gate:
    return Gate(inspector)


@contextmanager
def uploading(world: World, image_id: str, gate: Gate, part: str | None = None) -> Iterator[list[int]]:
    """An upload that is looked into until this ends; then its answer is there."""
    answers: list[int] = []
    thread = threading.Thread(
        target=lambda: answers.append(world.upload(image_id, b"slow bytes", content_range=part).status_code)
    )
    thread.start()
    try:
        until(gate.asked.is_set, what="the inspection")
        yield answers
    finally:
        gate.is_open.set()
        thread.join()


def seen_at_least(world: World, image_id: str, after_s: float) -> bool:
    """Whether its upload was heard of so long after it began."""
    with world.kit.database.reading() as session:
        row = session.get(ImageRow, UUID(image_id))
        assert row is not None and row.upload_seen_at is not None
        return row.upload_seen_at > row.created_at + timedelta(seconds=after_s)


@pytest.mark.parametrize("part", [None, "bytes 0-9/10"], ids=["whole", "in ranges"])
def test_an_upload_that_is_looked_into_for_long_is_not_given_up(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch, part: str | None
) -> None:
    monkeypatch.setattr(receiving, "SIGN_OF_LIFE_S", 0.05)
    with a_world(tmp_path, gate, upload_patience_s=2, resume_patience_s=2) as world:
        image_id = world.create()["id"]
        with uploading(world, image_id, gate, part) as answers:
            until(lambda: seen_at_least(world, image_id, 3), within_s=20, what="a sign of life")
            sweep(world.kit)
            meanwhile = world.shown(image_id)["status"]

        assert (meanwhile, answers, world.shown(image_id)["status"]) == ("saving", [204], "active")


def test_an_image_that_is_looked_into_holds_up_no_bytes_of_others(tmp_path: Path, gate: Gate) -> None:
    with a_world(tmp_path, gate, upload_threads=1) as world:
        gate.is_open.set()
        other = world.active(b"other bytes")["id"]
        gate.is_open.clear()
        gate.asked.clear()
        slow, got = world.create()["id"], []
        thread = threading.Thread(target=lambda: got.append(world.alice.get(f"/v2/images/{other}/file").content))
        with uploading(world, slow, gate) as answers:
            thread.start()
            thread.join(20)
            meanwhile = list(got)
        thread.join()

        assert (meanwhile, answers) == ([b"other bytes"], [204])


def test_an_image_that_cannot_be_looked_into_within_bounds_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    bounded = Inspector(idle_s=30, within=("prlimit", f"--as={900 << 20}"))  # less than a look may take
    with closing(bounded), a_world(tmp_path, bounded, project_quota_bytes=10) as world:
        image_id = world.create()["id"]

        answer = world.upload(image_id, b"ten bytes.")
        world.stage(image_id, b"ten bytes.")
        imported = world.imported(image_id)

        assert (answer.status_code, imported["status"], world.files()) == (415, "queued", [])
        assert "within the limits of time and memory" in answer.json()["message"]
        [task] = world.alice.get(f"/v2/images/{image_id}/tasks").json()["tasks"]
        assert "within the limits of time and memory" in task["message"]
        assert world.stage(world.create()["id"], b"ten bytes.").status_code == 204  # nothing of the quota is taken


def test_a_store_that_is_away_is_no_reason_to_refuse_an_image(world: World) -> None:
    image_id, store = world.create()["id"], world.kit.store.directory
    world.stage(image_id, b"some bytes")

    store.rename(store.with_name("away"))
    while_away = world.imported(image_id)["status"]
    store.with_name("away").rename(store)
    until(lambda: imported_by_now(world, image_id), what="the import")

    assert while_away == "importing"
    assert world.alice.get(f"/v2/images/{image_id}/file").content == b"some bytes"


def imported_by_now(world: World, image_id: str) -> bool:
    world.work()
    return bool(world.shown(image_id)["status"] == "active")
