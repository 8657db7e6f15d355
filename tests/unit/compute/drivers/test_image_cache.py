from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import pytest

from common.errors import HostFailed, InvalidInput, PlatformError, Unavailable
from services.compute.drivers.images import ImageCache
from tests.unit.compute.drivers.builders import an_image

DATA = b"x" + os.urandom((3 << 20) - 1)  # tests replace the first byte


class Source:
    """Gives bytes in pieces and counts how often it was asked."""

    def __init__(self, data: bytes = DATA) -> None:
        self.data = data
        self.asked = 0
        self._lock = Lock()

    def __call__(self) -> Iterator[bytes]:
        with self._lock:
            self.asked += 1
        for start in range(0, len(self.data), 1 << 16):
            yield self.data[start : start + (1 << 16)]


@pytest.fixture
def cache(tmp_path: Path) -> ImageCache:
    return ImageCache(tmp_path / "images")


def files(cache: ImageCache) -> list[Path]:
    return [path for path in cache.directory.rglob("*") if path.is_file() and path.parent.name != "locks"]


def test_an_image_is_kept_under_its_hash_and_nobody_may_write_it(cache: ImageCache) -> None:
    image = an_image(DATA)

    path = cache.ensure(image, Source())

    assert path.name == image.sha512
    assert path.read_bytes() == DATA
    assert path.stat().st_mode & 0o777 == 0o444


def test_fifty_threads_that_want_an_image_at_once_fetch_it_once(cache: ImageCache) -> None:
    source = Source()
    image = an_image(DATA)

    with ThreadPoolExecutor(50) as pool:
        paths = set(pool.map(lambda _: cache.ensure(image, source), range(50)))

    assert source.asked == 1
    assert paths == {cache.directory / image.sha512}


def test_processes_that_want_an_image_at_once_fetch_it_once(tmp_path: Path) -> None:
    program = """
import sys, pathlib
from services.compute.drivers.images import ImageCache
from tests.unit.compute.drivers.builders import an_image
def fetch():
    with open(sys.argv[2], "a") as asked:
        asked.write("x")
    yield b"some bytes"
ImageCache(pathlib.Path(sys.argv[1])).ensure(an_image(b"some bytes"), fetch)
"""
    asked = tmp_path / "asked"

    command = [sys.executable, "-c", program, str(tmp_path / "images"), str(asked)]
    running = [subprocess.Popen(command) for _ in range(3)]

    assert [process.wait(timeout=120) for process in running] == [0, 0, 0]
    assert asked.read_text() == "x"


@pytest.mark.parametrize("sent", [DATA[:-1], DATA + b"x", b"y" + DATA[1:], b""], ids=["short", "long", "other", "none"])
def test_bytes_that_do_not_match_are_refused_and_leave_nothing(cache: ImageCache, sent: bytes) -> None:
    with pytest.raises(PlatformError, match="do not match"):
        cache.ensure(an_image(DATA), Source(sent))

    assert files(cache) == []


def test_a_local_file_is_linked_and_not_fetched(cache: ImageCache, tmp_path: Path) -> None:
    source, local = Source(), tmp_path / "stored"
    local.write_bytes(DATA)

    path = cache.ensure(an_image(DATA), source, local=local)

    assert source.asked == 0
    assert path.samefile(local)


def test_a_local_file_with_other_bytes_is_not_trusted(cache: ImageCache, tmp_path: Path) -> None:
    source, local = Source(), tmp_path / "stored"
    local.write_bytes(b"y" + DATA[1:])

    path = cache.ensure(an_image(DATA), source, local=local)

    assert source.asked == 1
    assert path.read_bytes() == DATA


def test_a_full_disk_is_the_hosts_failure_and_leaves_nothing(cache: ImageCache) -> None:
    def fetch() -> Iterator[bytes]:
        yield DATA[:100]
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(HostFailed, match="does not fit"):
        cache.ensure(an_image(DATA), fetch)

    assert files(cache) == []


def test_a_lost_connection_may_be_tried_again(cache: ImageCache) -> None:
    def fetch() -> Iterator[bytes]:
        yield DATA[:100]
        raise ConnectionResetError

    with pytest.raises(Unavailable):
        cache.ensure(an_image(DATA), fetch)

    assert cache.ensure(an_image(DATA), Source()).read_bytes() == DATA


def test_what_a_dead_process_was_fetching_is_swept_at_start(cache: ImageCache) -> None:
    left = cache.directory / "arriving" / f"{an_image(DATA).sha512}.0123"
    left.write_bytes(b"half")

    ImageCache(cache.directory)

    assert not left.exists()


def test_what_a_living_process_is_fetching_is_not_swept(cache: ImageCache) -> None:
    def fetch() -> Iterator[bytes]:
        yield DATA[:-1]
        ImageCache(cache.directory)
        yield DATA[-1:]

    assert cache.ensure(an_image(DATA), fetch).read_bytes() == DATA


def test_a_hash_that_is_none_becomes_no_path(cache: ImageCache) -> None:
    image = an_image(DATA).model_copy(update={"sha512": "../../etc/passwd"})

    with pytest.raises(InvalidInput):
        cache.ensure(image, Source())


def test_pruning_removes_the_longest_unwanted_until_the_rest_fits(cache: ImageCache) -> None:
    contents = [os.urandom(1 << 20) for _ in range(3)]
    oldest, kept, newest = [cache.ensure(an_image(data), Source(data)) for data in contents]
    for age, path in enumerate([newest, kept, oldest]):
        os.utime(cache.directory / "locks" / path.name, (age, 1000 - age))

    gone = cache.prune({kept.name}, max_bytes=2 << 20, idle_s=0)

    assert gone == [oldest.name]
    assert kept.exists() and newest.exists()
    assert cache.used_bytes() == 2 << 20


def test_pruning_spares_what_was_wanted_just_now(cache: ImageCache) -> None:
    path = cache.ensure(an_image(DATA), Source())

    assert cache.prune(set(), max_bytes=0) == []
    assert path.exists()


def test_a_file_that_was_changed_behind_its_back_is_fetched_again(cache: ImageCache) -> None:
    image, source = an_image(DATA), Source()
    path = cache.ensure(image, source)
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(b"y")

    again = cache.ensure(image, source)

    assert again.read_bytes() == DATA
    assert source.asked == 2


def test_a_file_that_only_looks_changed_is_hashed_and_kept(cache: ImageCache) -> None:
    image, source = an_image(DATA), Source()
    path = cache.ensure(image, source)
    os.utime(path, (1, 1))

    cache.ensure(image, source)

    assert source.asked == 1


def test_a_cached_image_costs_no_second_reading(cache: ImageCache) -> None:
    data = bytes(64 << 20)
    image, source = an_image(data), Source(data)
    cache.ensure(image, source)

    took = []
    for _ in range(20):
        began = time.thread_time()
        cache.ensure(image, source)
        took.append(time.thread_time() - began)

    assert source.asked == 1
    assert sorted(took)[10] < 0.030


def test_what_nobody_wanted_for_long_goes_though_there_is_room(cache: ImageCache) -> None:
    old, used, young = (an_image(DATA + name) for name in (b"old", b"used", b"young"))
    for image, name in ((old, b"old"), (used, b"used"), (young, b"young")):
        cache.ensure(image, Source(DATA + name))
    for image in (old, used):
        os.utime(cache.directory / "locks" / image.sha512, (1, 1))

    gone = cache.prune({used.sha512}, max_bytes=1 << 40, oldest_s=3600)

    assert gone == [old.sha512]
