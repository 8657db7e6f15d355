"""Every kind of store keeps bytes alike: unseen until all are there, whole afterwards, and nothing left of the rest."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from common.errors import NotFound
from services.image.drivers.store.files import FileStore
from services.image.drivers.store.s3 import S3Store
from services.image.drivers.store.store import Store
from tests.contract.image.conftest import Bucket

MIB = 1 << 20


@dataclass
class Known:
    """What belongs to something."""

    ids: set[UUID] = field(default_factory=set)

    def uploads(self, ids: Collection[UUID]) -> set[UUID]:
        return self.ids & set(ids)

    images = arriving = uploads


@dataclass
class Kept:
    """One store, and how to look into it from outside."""

    store: Store
    inside: Callable[[], list[str]]  # names of everything in it, arriving things too
    intrude: Callable[[str], None]  # put something there that the service did not


@pytest.fixture(params=["file", "s3"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    if request.param == "file":
        directory = tmp_path / "store"
        store = FileStore(directory)
        yield Kept(
            store,
            lambda: sorted(one.name for one in directory.rglob("*") if one.is_file()),
            lambda name: (directory / name).touch(),
        )
        return
    bucket: Bucket = request.getfixturevalue("bucket")
    yield Kept(S3Store(bucket.place(part_mib=5, sweep_every_s=0), prefix="cloud/"), bucket.names, bucket.intrude)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Bytes for three parts."""
    file = tmp_path / "source"
    file.write_bytes(os.urandom(12 * MIB + 345))
    return file


def read(store: Store, image_id: UUID, first: int, end: int) -> bytes:
    with closing(store.open(image_id, first, end)) as reading:
        got = b""
        while len(got) < end - first:
            got += reading.piece(min(MIB, end - first - len(got)))
    return got


def bring(kept: Kept, source: Path, image_id: UUID, upload_id: UUID | None = None) -> Callable[[], None]:
    return kept.store.bring(source, image_id, upload_id or uuid4(), given=False, heard=lambda: None)


def test_bytes_are_seen_when_they_are_kept_and_then_all_of_them(kept: Kept, source: Path) -> None:
    image_id, data = uuid4(), source.read_bytes()

    keep = bring(kept, source, image_id)
    before = kept.store.holds(image_id)
    keep()

    assert (before, kept.store.holds(image_id)) == (False, True)
    assert read(kept.store, image_id, 0, len(data)) == data
    assert source.read_bytes() == data
    assert len(kept.inside()) == 1


@pytest.mark.parametrize(("first", "end"), [(0, 1), (5 * MIB - 1, 5 * MIB + 1), (12 * MIB + 344, 12 * MIB + 345)])
def test_any_part_is_read_alone(kept: Kept, source: Path, first: int, end: int) -> None:
    image_id = uuid4()
    bring(kept, source, image_id)()

    assert read(kept.store, image_id, first, end) == source.read_bytes()[first:end]


def test_an_image_without_bytes_is_kept(kept: Kept, tmp_path: Path) -> None:
    nothing, image_id = tmp_path / "nothing", uuid4()
    nothing.touch()

    bring(kept, nothing, image_id)()

    assert kept.store.holds(image_id)
    kept.store.open(image_id, 0, 0).close()


def test_a_sign_of_life_is_given_while_bytes_are_brought(kept: Kept, source: Path) -> None:
    heard: list[None] = []

    kept.store.bring(source, uuid4(), uuid4(), given=False, heard=lambda: heard.append(None))

    assert heard


def test_what_is_begun_again_begins_anew(kept: Kept, source: Path) -> None:
    image_id, upload_id = uuid4(), uuid4()

    bring(kept, source, image_id, upload_id)
    source.write_bytes(b"other bytes")
    bring(kept, source, image_id, upload_id)()

    assert read(kept.store, image_id, 0, 11) == b"other bytes"
    assert len(kept.inside()) == 1


def test_what_is_discarded_leaves_nothing(kept: Kept, source: Path) -> None:
    upload_id = uuid4()
    bring(kept, source, uuid4(), upload_id)

    for _ in range(2):
        kept.store.discard(upload_id)

    assert kept.inside() == []


def test_what_is_removed_is_not_found(kept: Kept, source: Path) -> None:
    image_id = uuid4()
    bring(kept, source, image_id)()

    for _ in range(2):
        kept.store.remove(image_id)

    assert not kept.store.holds(image_id)
    assert kept.inside() == []
    with pytest.raises(NotFound):
        kept.store.open(image_id, 0, 1)


def test_the_sweep_removes_what_belongs_to_nothing_and_leaves_the_rest_alone(kept: Kept, source: Path) -> None:
    image_id, stranger, known = uuid4(), uuid4(), Known()
    bring(kept, source, image_id)()
    bring(kept, source, stranger)()
    bring(kept, source, uuid4())  # a process that was killed before it kept it
    kept.intrude("notes.txt")
    known.ids.add(image_id)

    gone = kept.store.sweep(known, older_than_s=-5)  # also what is new

    assert gone == 2
    assert [name.rpartition("/")[2] for name in kept.inside()] == sorted([str(image_id), "notes.txt"])


def test_the_sweep_spares_what_is_still_arriving(kept: Kept, source: Path) -> None:
    image_id, upload_id = uuid4(), uuid4()
    keep = bring(kept, source, image_id, upload_id)

    gone = kept.store.sweep(Known({image_id, upload_id}), older_than_s=-5)
    keep()

    assert (gone, kept.store.holds(image_id)) == (0, True)


def test_the_store_says_that_it_is_there(kept: Kept) -> None:
    kept.store.probe()
