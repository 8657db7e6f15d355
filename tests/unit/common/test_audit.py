"""Every call that would change something leaves a line and an event, whatever becomes of it; neither holds a secret."""

from __future__ import annotations

import logging
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest
from fastapi import APIRouter, Request, Response
from starlette.testclient import TestClient

from common import log as logs
from common.audit import Activity
from common.auth.policy import Policy
from common.auth.tokens import TokenVerifier, sign
from common.bus.bus import Bus
from common.errors import NotFound
from common.http.app import Service, create_app
from common.http.audit import Audit, plain
from common.http.identity import Caller
from common.http.json import Json, json_body
from common.http.operations import operation
from tests.unit.common.test_http import PlainFaults
from tests.unit.common.test_tokens import KEY, KEYS, a_caller

router = APIRouter()
POLICY = Policy({"thing:delete": "rule:admin", "thing:create": "@"})


@router.get("/things/{thing_id}")
@operation("thing:create")
def look(thing_id: str, caller: Caller) -> Response:
    return Json({})


@router.post("/things")
@operation("thing:create")
async def make(request: Request, caller: Caller) -> Response:
    await json_body(request)
    POLICY.must("thing:create", caller)
    return Json({}, 201, {"Location": "/things/1"})


@router.delete("/things/{thing_id}")
@operation("thing:delete")
def remove(thing_id: str, caller: Caller) -> Response:
    POLICY.must("thing:delete", caller)
    raise NotFound("There is no such thing")


class ThingActivity(Activity):
    topic: ClassVar[str] = "audit.thing.activity"


class Told(list[Any]):
    """A bus that may be away."""

    is_away = False

    def tell(self, event: Any) -> None:
        if self.is_away:
            raise OSError("no broker")
        self.append(event)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def client(told: Told) -> Iterator[TestClient]:
    bus: Bus = told  # type: ignore[assignment]
    verifier = TokenVerifier(lambda: KEYS, lambda: ())
    service = Service(
        name="thing",
        routers=[router],
        faults=PlainFaults(),
        state={"verifier": verifier},
        audit=Audit("thing", bus, ThingActivity),
    )
    token = sign(a_caller(), key=KEY, key_id="k1")
    with TestClient(create_app(service), headers={"x-auth-token": token, "user-agent": "tests"}) as client:
        yield client


def test_what_is_made_is_told_with_who_where_and_from_where(client: TestClient, told: Told) -> None:
    answer = client.post("/things", json={"secret": "canary"}, headers={"x-forwarded-for": "192.0.2.1"})

    [one] = told
    assert (one.action, one.outcome, one.status, one.made) == ("thing:create", "success", 201, "/things/1")
    assert (one.client, one.agent, one.request_id) == ("192.0.2.1", "tests", answer.headers["x-openstack-request-id"])
    assert one.initiator["user_id"] == a_caller().user_id and one.initiator["project_id"] == a_caller().project_id
    assert "canary" not in one.model_dump_json() and client.headers["x-auth-token"] not in one.model_dump_json()


def test_what_is_refused_names_the_rule(client: TestClient, told: Told) -> None:
    assert client.delete("/things/7").status_code == 403

    [one] = told
    assert (one.outcome, one.rule, one.target, one.path) == (
        "refused",
        "thing:delete",
        {"thing_id": "7"},
        "/things/{thing_id}",
    )


def test_who_is_not_known_is_told_too(client: TestClient, told: Told) -> None:
    assert client.post("/things", headers={"x-auth-token": "none"}).status_code == 401

    [one] = told
    assert (one.outcome, one.status, one.initiator, one.action) == ("refused", 401, {}, "thing:create")


def test_a_failure_is_told_by_its_kind_and_not_by_its_words(client: TestClient, told: Told) -> None:
    assert client.post("/things", content=b"{canary").status_code == 400

    [one] = told
    assert one.outcome == "failure" and one.reason and "canary" not in one.model_dump_json()


def test_reads_are_not_told(client: TestClient, told: Told) -> None:
    assert client.get("/things/1").status_code == 200
    assert told == []


def test_a_bus_that_is_away_loses_no_line(client: TestClient, told: Told, caplog: pytest.LogCaptureFixture) -> None:
    told.is_away = True

    with caplog.at_level(logging.INFO, "audit"):
        assert client.post("/things", json={}).status_code == 201

    assert [one for one in caplog.records if one.name == "audit" and one.message == "activity"]


def test_what_a_client_chose_is_cut_and_escaped() -> None:
    assert plain("a\r\nb\u202e\x1b[2J\ud800") == "a\\u000d\\u000ab\\u202e\\u001b[2J\\ud800"
    assert len(plain("x" * 5000)) == 256


def test_the_file_is_for_its_owner_and_can_be_moved_away(tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    handler = logs._audit_handler(file)
    try:
        for number in range(2):
            handler.handle(logging.makeLogRecord({"msg": f"activity {number}", "name": "audit", "levelno": 20}))
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert orjson.loads(file.read_bytes())["message"] == f"activity {number}"
            file.rename(tmp_path / f"audit.log.{number}")
    finally:
        handler.close()


def test_the_log_for_people_lets_no_client_write_lines_or_facts_of_its_own() -> None:
    record = logging.makeLogRecord({"msg": "answered", "levelname": "INFO", "path": "/a\r\nb status=200 \x1b[2J"})

    line = logs.ForPeople().format(record)

    assert line.endswith('answered  path="/a\\\\u000d\\\\u000ab status=200 \\\\u001b[2J"')
