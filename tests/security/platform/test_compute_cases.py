"""C1, C8, C11, C15, C17, K11 and quotas, through the public address of a whole cloud."""

from __future__ import annotations

import gzip
import json
import os
import resource
import sqlite3
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import orjson
import pytest

from tests.harness.clouds import Cloud
from tests.harness.waiting import until
from tests.security.platform.people import NEWEST, Person, Town, microversion

SERVERS = "/compute/v2.1/servers"

HOSTILE_TEXTS = (
    'x"/><devices><disk type="file"/></devices>', "\U0001f600 ünï", "%n%n%s", "{{7*7}}", "$(id)",
    "`id`", "'; DROP TABLE servers; --", "../../etc/passwd", "-o", "]]>", "<script>alert(1)</script>",
)  # fmt: skip
REFUSED_NAMES = ("", " ", "\u202egnp.exe", "a\r\nb", "a\0b", "a\x1b[2J", "x" * 256, "x" * 1_000_000, "\ud800")


# ---------------------------------------------------------------- projects


def test_c1_a_project_in_the_address_must_be_the_token_s(alice: Person, bob: Person) -> None:
    theirs = f"/compute/v2.1/{alice.project_id}"
    paths = ["/servers", "/servers/detail", f"/servers/{uuid4()}", "/flavors", "/os-keypairs", "/limits"]

    answers = [bob.ask("GET", theirs + path) for path in paths]
    answers.append(bob.ask("POST", f"{theirs}/servers", json=bob.order()))

    assert {one.status_code for one in answers} == {400}  # as Nova has it: malformed, whatever is there
    assert all("doesn't match Context's project_id" in one.text for one in answers)
    assert bob.ask("GET", f"/compute/v2.1/{bob.project_id}/servers").status_code == 200


def test_c1_no_query_and_no_header_widens_what_a_member_sees(alice: Person, bob: Person) -> None:
    server = alice.boot()
    queries = ("all_tenants=1", "all_tenants=True", f"project_id={alice.project_id}", f"tenant_id={alice.project_id}",
               f"uuid={server['id']}", f"all_tenants=1&project_id={alice.project_id}")  # fmt: skip
    claims = {"x-project-id": alice.project_id, "x-roles": "admin", "x-tenant-id": alice.project_id}

    for query in queries:
        answer = bob.ask("GET", f"{SERVERS}/detail?{query}", headers=claims)
        assert answer.status_code == 403 or server["id"] not in answer.text, query


@pytest.mark.parametrize(
    "claims",
    [
        [("X-Roles", "admin"), ("X-User-Id", "admin"), ("X-Project-Id", "any"), ("X-Is-Admin-Project", "True")],
        [("x_roles", "admin"), ("X_User_Id", "admin"), ("x_auth_token", "x"), ("HTTP_X_ROLES", "admin")],
        [("X-Roles", "member"), ("X-Roles", "admin"), ("X-Identity-Status", "Confirmed")],
        [("X-Service-Token", "x"), ("X-Service-Roles", "service"), ("X-System-Scope", "all")],
        [("X-Forwarded-User", "admin"), ("X-Remote-User", "admin"), ("REMOTE_USER", "admin")],
    ],
)
def test_k11_forged_identity_headers_open_nothing(alice: Person, bob: Person, claims: list[tuple[str, str]]) -> None:
    server = alice.boot()
    forbidden = ["/compute/v2.1/os-services", "/compute/v2.1/os-hypervisors", "/identity/v3/users"]

    def status(path: str, *token: tuple[str, str]) -> int:
        return bob.http.get(path, headers=[*claims, *token]).status_code

    false_service = any(name == "X-Service-Token" for name, _ in claims)  # refused before anything else is looked at
    assert {status(path, ("X-Auth-Token", bob.token)) for path in forbidden} == {401 if false_service else 403}
    assert {status(path) for path in [*forbidden, SERVERS, "/image/v2/images"]} == {401}
    assert status(f"{SERVERS}/{server['id']}", ("X-Auth-Token", bob.token)) == (401 if false_service else 404)
    alice.ask("DELETE", f"{SERVERS}/{server['id']}")


# ---------------------------------------------------------------- bodies, versions


BODIES = {
    "entities": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><server name="&a;"/>',
    "yaml": b"server: !!python/object/apply:os.system [id]",
    "depth": b'{"server": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "twins": b'{"server": {"name": "a", "name": "b"}}',
    "nan": b'{"server": {"min_count": NaN}}',
    "infinity": b'{"server": {"min_count": 1e400}}',
    "huge number": b'{"server": {"min_count": ' + b"9" * 100_000 + b"}}",
    "many keys": orjson.dumps({"server": {"name": "a", "metadata": {str(one): "v" for one in range(200_000)}}}),
    "gzip bomb": gzip.compress(b" " * 50_000_000),
}


@pytest.mark.parametrize("kind", BODIES)
def test_c8_a_hostile_body_is_refused_quickly_and_leaves_no_memory_behind(
    simulated: Cloud, bob: Person, kind: str
) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip" if kind == "gzip bomb" else "identity"}
    pid = simulated.pids()["pileus"]
    bob.ask("POST", SERVERS, content=BODIES[kind], headers=headers)
    before = resident_kib(pid)

    started = processor_s(pid)
    answers = [bob.ask("POST", SERVERS, content=BODIES[kind], headers=headers) for _ in range(5)]
    took = (processor_s(pid) - started) / 5

    assert {one.status_code for one in answers} <= {400, 413, 415}
    assert resident_kib(pid) - before < 10 * 1024
    assert took < 2, "a refusal that keeps a processor busy"


def processor_s(pid: int) -> float:
    """What the process has taken of processors."""
    after_the_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_the_name[11]) + int(after_the_name[12])) / os.sysconf("SC_CLK_TCK")


def resident_kib(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() // 1024


@pytest.mark.parametrize(
    ("versions", "status"),
    [
        (["compute 9.9"], 406),
        (["compute 2.99999999"], 406),
        (["compute 2.99999999999999999999"], 400),
        (["compute 2.-1"], 400),
        (["compute 2"], 400),
        (["compute \u0662.\u0661"], 400),
        (["compute 2.1\xa0"], 400),
        (["compute " + "2" * 5000 + ".1"], 400),
        (["compute latest.1"], 400),
        (["compute 2.1.1"], 400),
        (["compute 0x2.1"], 400),
    ],
)
def test_c17_games_with_the_version_header_are_refused(bob: Person, versions: list[str], status: int) -> None:
    headers = [("X-Auth-Token", bob.token), *(("OpenStack-API-Version", one.encode()) for one in versions)]

    answer = bob.http.get(SERVERS, headers=headers)  # type: ignore[arg-type]

    assert answer.status_code == status, answer.text
    assert "x-openstack-request-id" in answer.headers
    assert len(answer.text) < 400


@pytest.mark.parametrize("value", ["compute 2.1, compute 2.90", "2.1, compute 2.90", "volume 9.9, compute 2.90"])
def test_c17_of_many_versions_one_is_used_and_told(bob: Person, value: str) -> None:
    """The header is a list, and the last item counts: what was used stands in the answer."""
    answer = bob.ask("GET", SERVERS, headers={"openstack-api-version": value})

    assert answer.status_code == 200
    assert answer.headers["openstack-api-version"] == "compute 2.90"


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_c15_a_hostile_text_is_stored_as_it_is(alice: Person, text: str) -> None:
    before = alice.boot(name=text, description=text, metadata={"key": text})
    shown = alice.ask("GET", f"{SERVERS}/{before['id']}", headers=microversion(NEWEST)).json()["server"]

    assert (shown["name"], shown["description"], shown["metadata"]) == (text, text, {"key": text})
    assert shown["status"] == "ACTIVE"
    assert alice.ask("DELETE", f"{SERVERS}/{before['id']}").status_code == 204
    until(lambda: alice.ask("GET", f"{SERVERS}/{before['id']}").status_code == 404)


@pytest.mark.parametrize("name", REFUSED_NAMES, ids=range(len(REFUSED_NAMES)))
def test_c15_what_is_no_name_is_refused(alice: Person, name: str) -> None:
    order = alice.order()
    order["server"]["name"] = name
    pair = {"keypair": {"name": name}}
    headers = {"content-type": "application/json"}

    def status(path: str, body: object) -> int:
        return alice.ask("POST", path, content=json.dumps(body), headers=headers).status_code

    assert status(SERVERS, order) == 400
    assert status("/compute/v2.1/os-keypairs", pair) == 400
    assert alice.ask("GET", SERVERS).status_code == 200


# ---------------------------------------------------------------- errors within


@contextmanager
def without_table(cloud: Cloud, table: str) -> Iterator[None]:
    """Each query for it fails as long as the block runs."""
    with sqlite3.connect(cloud.data / "databases" / "compute.sqlite", timeout=30) as database:
        database.execute(f"ALTER TABLE {table} RENAME TO hidden_{table}")
        database.commit()
        try:
            yield
        finally:
            database.execute(f"ALTER TABLE hidden_{table} RENAME TO {table}")
            database.commit()


def test_c11_an_error_of_the_database_is_told_by_its_kind_and_id_alone(simulated: Cloud, bob: Person) -> None:
    with without_table(simulated, "keypairs"):
        answers = [
            bob.ask("GET", "/compute/v2.1/os-keypairs"),
            bob.ask("POST", "/compute/v2.1/os-keypairs", json={"keypair": {"name": "k"}}),
        ]

    for answer in answers:
        assert answer.status_code in (500, 503)
        assert answer.headers["x-openstack-request-id"] in answer.text
        for word in ("sqlite", "SELECT", "no such table", "keypairs", "Traceback", str(simulated.data)):
            assert word not in answer.text
    assert bob.ask("GET", "/compute/v2.1/os-keypairs").status_code == 200


# ---------------------------------------------------------------- quota


def test_c7_sixty_requests_at_once_get_exactly_the_ten_servers_of_the_quota(town: Town) -> None:
    person = town.stranger()
    order = person.order()

    def create(_: int) -> httpx.Response:
        return person.ask("POST", SERVERS, json=order)

    with ThreadPoolExecutor(30) as threads:
        statuses = Counter(one.status_code for one in threads.map(create, range(60)))

    servers = person.ask("GET", SERVERS).json()["servers"]
    assert statuses == {202: 10, 403: 50}
    assert len(servers) == 10
    assert {person.settled(one["id"])["status"] for one in servers} == {"ACTIVE"}
    limits = person.ask("GET", "/compute/v2.1/limits").json()["limits"]["absolute"]
    assert limits["totalInstancesUsed"] == 10
    for one in servers:
        person.ask("DELETE", f"{SERVERS}/{one['id']}")


def test_c7_one_request_for_many_and_many_for_one_share_the_quota(town: Town) -> None:
    person = town.stranger()
    order = person.order(min_count=3, max_count=3)

    with ThreadPoolExecutor(8) as threads:
        statuses = Counter(threads.map(lambda _: person.ask("POST", SERVERS, json=order).status_code, range(8)))

    assert statuses == {202: 3, 403: 5}
    servers = person.ask("GET", SERVERS).json()["servers"]
    assert len(servers) == 9
    for one in servers:
        person.ask("DELETE", f"{SERVERS}/{one['id']}")
