"""C4, C10, C12: flavors of others, questions that would keep the database busy, files put into a guest."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.security.platform.people import NEWEST, Person, Town, microversion

SERVERS = "/compute/v2.1/servers"
FLAVORS = "/compute/v2.1/flavors"
SLOW_FOR_A_MATCHER = "(a+)+$"  # backtracks for ever on "aaaa…b" where it is taken for a regular expression
LISTS = (f"{SERVERS}/detail", f"{FLAVORS}/detail", "/compute/v2.1/os-keypairs", "/compute/v2.1/os-server-groups")


@pytest.fixture
def secret_flavor(town: Town, alice: Person) -> Iterator[dict[str, Any]]:
    """Alice's project alone may use it."""
    flavor = {
        "name": f"secret-{uuid4().hex[:8]}",
        "ram": 64,
        "vcpus": 1,
        "disk": 1,
        "os-flavor-access:is_public": False,
    }
    made = town.admin.made(FLAVORS, {"flavor": flavor})
    access = {"addTenantAccess": {"tenant": alice.project_id}}
    assert town.admin.ask("POST", f"{FLAVORS}/{made['id']}/action", json=access).status_code == 200
    yield made
    town.admin.ask("DELETE", f"{FLAVORS}/{made['id']}")


def test_c4_another_project_s_flavor_is_as_unknown_as_none(
    alice: Person, bob: Person, secret_flavor: dict[str, Any]
) -> None:
    theirs, none = secret_flavor["id"], str(uuid4())
    server = bob.boot()

    def refusal(flavor_id: str, kind: str) -> tuple[int, str]:
        if kind == "create":
            answer = bob.ask("POST", SERVERS, json=bob.order(flavorRef=flavor_id))
        elif kind == "resize":
            answer = bob.ask("POST", f"{SERVERS}/{server['id']}/action", json={"resize": {"flavorRef": flavor_id}})
        else:
            answer = bob.ask("GET", f"{FLAVORS}/{flavor_id}{kind}")
        return answer.status_code, answer.text.replace(flavor_id, "ID")

    for kind in ("create", "resize", "", "/os-extra_specs"):
        assert refusal(theirs, kind) == refusal(none, kind), kind
        assert refusal(theirs, kind)[0] in (400, 404)
    assert theirs not in bob.ask("GET", f"{FLAVORS}/detail?is_public=None").text
    assert theirs in alice.ask("GET", f"{FLAVORS}/detail").text
    bob.ask("DELETE", f"{SERVERS}/{server['id']}")


def test_c10_no_filter_is_a_program_for_the_database(alice: Person) -> None:
    server = alice.boot(name="a" * 200 + "b")

    answers = [
        alice.ask("GET", f"{SERVERS}/detail", params={name: SLOW_FOR_A_MATCHER})
        for name in ("name", "ip", "ip6", "hostname", "display_name")
    ]
    too_long = alice.ask("GET", SERVERS, params={"name": "x" * 300})
    many_gaps = alice.ask("GET", SERVERS, params={"name": "a.*" * 50})

    assert {one.status_code for one in answers} <= {200, 400}
    assert server["id"] not in answers[0].text
    assert (too_long.status_code, many_gaps.status_code) == (400, 200)
    alice.ask("DELETE", f"{SERVERS}/{server['id']}")


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    ("question", "statuses"),
    [
        ("limit=-1", {400}),
        ("limit=ten", {400}),
        ("limit=1.5", {400}),
        ("limit=1000000000", {200}),
        (f"limit={'9' * 500}", {200, 400}),
        ("limit=0", {200}),
        ("offset=1000000000", {200, 400}),  # the newest versions refuse what a list does not know
        ("offset=-1", {400}),
        (f"marker={'x' * 5000}", {400, 404}),
    ],
)
def test_c10_a_page_has_bounds_whatever_is_asked(bob: Person, path: str, question: str, statuses: set[int]) -> None:
    answer = bob.ask("GET", f"{path}?{question}", headers=microversion(NEWEST))

    assert answer.status_code in statuses, answer.text


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../../../etc/shadow", "/root/link/../../etc/hosts", "C:\\x", "a\0b"]
)
def test_c12_a_file_to_put_into_a_guest_is_taken_at_no_version_that_could_write_it(bob: Person, path: str) -> None:
    """Only a config drive carries files, under names that Pileus chose."""
    file = {"path": path, "contents": base64.b64encode(b"root::0:0:::\n").decode()}

    newest = bob.ask("POST", SERVERS, json=bob.order(personality=[file]), headers=microversion(NEWEST))
    oldest = bob.ask("POST", SERVERS, json=bob.order(personality=[file]), headers=microversion("2.1"))

    assert newest.status_code == 400
    assert oldest.status_code in (202, 400, 403), oldest.text
    if oldest.status_code == 202:
        server = bob.settled(oldest.json()["server"]["id"])
        assert server["status"] == "ACTIVE"
        bob.ask("DELETE", f"{SERVERS}/{server['id']}")
