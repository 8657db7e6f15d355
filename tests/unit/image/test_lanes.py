from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial

import pytest

from services.image.api.lanes import Lane


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


def test_pieces_of_a_lane_are_done_in_their_order_however_many_threads_there_are(pool: ThreadPoolExecutor) -> None:
    lane, done = Lane(pool), list[int]()

    wait([lane.give(partial(done.append, number)) for number in range(500)])

    assert done == list(range(500))


def test_lanes_of_a_pool_with_one_thread_take_turns() -> None:
    with ThreadPoolExecutor(1) as pool:
        done, begin = list[str](), threading.Event()
        pool.submit(begin.wait)
        lanes = {name: Lane(pool) for name in "ab"}
        given = [lanes[name].give(partial(done.append, name)) for name in "aaabbb"]

        begin.set()
        wait(given)

    assert "".join(done) == "ababab"


def test_what_follows_a_failure_is_not_done_and_fails_alike(pool: ThreadPoolExecutor) -> None:
    lane, done = Lane(pool), list[int]()

    def fail() -> None:
        raise OSError("full")

    given = [lane.give(work) for work in (partial(done.append, 1), fail, partial(done.append, 2))]
    wait(given)

    assert done == [1]
    assert [str(one.exception()) for one in given] == ["None", "full", "full"]


def test_work_that_nobody_waits_for_any_more_is_done_all_the_same_and_what_follows_too() -> None:
    with ThreadPoolExecutor(1) as pool:
        lane, done, begin = Lane(pool), list[int](), threading.Event()
        pool.submit(begin.wait)
        given = [lane.give(partial(done.append, number)) for number in range(3)]

        given[0].cancel()
        begin.set()
        wait(given, timeout=30)

    assert done == [0, 1, 2]
