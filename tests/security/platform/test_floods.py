"""K14: a flood of strangers and of giant names leaves a log that can be read, and a disk that is not full."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.harness.waiting import until
from tests.security.platform.people import Person, Town, sign_in

MANY = 1500
GIANT = "giant-" + "x" * 1500


class Growth:
    """What a log has got since."""

    def __init__(self, file: Path) -> None:
        self._file, self._before = file, file.stat().st_size

    def lines(self) -> list[str]:
        with self._file.open() as opened:
            opened.seek(self._before)
            return opened.read().splitlines()


@pytest.fixture
def log(town: Town) -> Growth:
    return Growth(town.cloud.data / "pileus.log")


@pytest.fixture
def audit(town: Town) -> Growth:
    return Growth(town.cloud.data / "audit.log")


def flood(town: Town, ask: Callable[[int], int]) -> set[int]:
    with ThreadPoolExecutor(4) as threads:
        return set(threads.map(ask, range(MANY)))


def test_k14_a_flood_of_invalid_tokens_leaves_few_lines_and_a_count(town: Town, log: Growth, audit: Growth) -> None:
    def ask(number: int) -> int:
        headers = {"x-auth-token": f"{town.admin.token[:-20]}{number:020d}"}
        return town.http.post("/compute/v2.1/servers", json={}, headers=headers).status_code

    began = time.monotonic()
    assert flood(town, ask) == {401}

    lines, told = [one for one in log.lines() if "status=401" in one], audit.lines()
    most = 300 + 10 * (time.monotonic() - began)  # 100 at once and 10 a second, and what others do meanwhile
    assert 0 < len(lines) <= most and 0 < len(told) <= most
    until(lambda: ask(0) and any("left_out=" in one for one in log.lines()), what="the count in the log")
    until(lambda: ask(0) and any(json.loads(one).get("left_out") for one in audit.lines()), what="the count")


def test_k14_giant_names_are_cut_wherever_they_are_told(town: Town, alice: Person, log: Growth, audit: Growth) -> None:
    for service, path in (("identity", "v3/users"), ("compute", "v2.1/servers"), ("image", "v2/images")):
        for method in ("GET", "DELETE"):
            alice.ask(method, f"/{service}/{path}/{GIANT}")
    sign_in(town.http, GIANT, "wrong", GIANT)
    alice.ask("POST", "/identity/v3/users", json={"user": {"name": GIANT}}, headers={"user-agent": GIANT})

    def told() -> list[str]:
        return [one for one in (*log.lines(), *audit.lines()) if "giant-" in one]

    until(lambda: len(told()) >= 6, what="the lines, which are told after the answers")
    assert [one for one in told() if "x" * 256 in one] == []


def test_k14_what_somebody_known_asks_for_and_each_log_in_is_told_however_many(town: Town, audit: Growth) -> None:
    stranger = town.stranger()
    before = len(audit.lines())

    for _ in range(150):
        stranger.ask("DELETE", "/compute/v2.1/servers/none")
    for _ in range(5):
        sign_in(town.http, stranger.name, "wrong", stranger.project)

    def told() -> list[dict[str, Any]]:
        return [json.loads(one)["activity"] for one in audit.lines()[before:]]

    def refused_log_ins() -> int:  # the log-in that made the stranger may be told late
        refused = [one for one in told() if one["outcome"] == "refused"]
        return len([one for one in refused if one.get("tried", {}).get("user_name") == stranger.name])

    until(lambda: refused_log_ins() >= 5, what="the last log-in told, which is after it was answered")
    assert refused_log_ins() == 5
    until(
        lambda: len([one for one in told() if one["service"] == "compute" and one["initiator"]]) == 150, what="all told"
    )
