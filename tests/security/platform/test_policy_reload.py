"""A policy file that changes counts in running services at once; a broken one never does, and the operator is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.waiting import until
from tests.security.platform.people import Person, Town

ASKED = {
    "os_compute_api:servers:index": "/compute/v2.1/servers",
    "get_images": "/image/v2/images",
    "identity:list_user_projects": "/identity/v3/users/{user_id}/projects",
}


@pytest.fixture
def write(policy_file: Path, alice: Person) -> Iterator[Callable[[str], object]]:
    """Replaces the file's text; it is empty again afterwards, and whoever comes next finds the built-in rules."""
    yield policy_file.write_text
    policy_file.write_text("")
    until(lambda: statuses(alice) == [200] * 3, what="the built-in rules")


def statuses(person: Person) -> list[int]:
    return [person.ask("GET", path.format(user_id=person.user_id)).status_code for path in ASKED.values()]


def remarks(town: Town) -> dict[str, str]:
    found: dict[str, str] = town.http.get("/readyz").json().get("remarks", {})
    return found


def test_a_changed_policy_file_counts_without_a_restart(
    town: Town, alice: Person, write: Callable[[str], object]
) -> None:
    before = statuses(alice)

    write("\n".join(f'"{rule}": "role:admin"' for rule in ASKED))
    until(lambda: statuses(alice) == [403] * 3, what="the new rules")
    write('"os_compute_api:servers:index": "role:nobody and"')
    until(lambda: "compute" in remarks(town), what="the complaint")

    assert before == [200] * 3 and statuses(alice) == [403] * 3, "the rules that were good stay"
    assert "ends too early" in remarks(town)["compute"]
    write("")
    until(lambda: statuses(alice) == [200] * 3, what="the built-in rules")
    until(lambda: remarks(town) == {}, what="no complaint")


def test_what_somebody_may_use_is_answered_whatever_the_policy_file_says(
    town: Town, alice: Person, write: Callable[[str], object]
) -> None:
    own = [f"/identity/v3/auth/{what}" for what in ("projects", "domains", "catalog", "system")]
    before = [alice.ask("GET", path).json() for path in own]

    write("\n".join(f'"{rule}": "role:admin"' for rule in ASKED))
    until(lambda: statuses(alice) == [403] * 3, what="the new rules")

    assert [alice.ask("GET", path).json() for path in own] == before
    assert before[0]["projects"] and before[2]["catalog"]
