"""Every service's application treats ids, limits, errors and health alike."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Iterator

import pytest
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from common import log as ids
from common.auth.tokens import TokenVerifier, sign
from common.errors import NotFound, PlatformError, TooLarge, Unavailable
from common.http.app import Service, create_app
from common.http.client import ServiceClient
from common.http.door import Limits
from common.http.faults import html_page
from common.http.identity import Caller
from common.http.inprocess import Inside
from common.http.json import Json, json_body
from tests.harness.waiting import until
from tests.unit.common.test_tokens import KEY, KEYS, a_caller

router = APIRouter()


class Limit(BaseModel):
    most: int


class PlainFaults:
    def answer(self, request: Request, error: PlatformError) -> Response:
        return Json({"error": {"code": error.status, "message": error.message}}, error.status)

    def unknown_path(self, request: Request) -> Response:
        return html_page(404, "Not Found", "The resource could not be found.")

    def wrong_method(self, request: Request, allowed: str) -> Response:
        return html_page(405, "Method Not Allowed", allowed)


@router.get("/who")
def who(caller: Caller) -> Response:
    return Json({"user": caller.user_id})


@router.post("/echo")
async def echo(request: Request) -> Response:
    return Json(await json_body(request))


@router.get("/missing")
def missing() -> Response:
    raise NotFound("no such thing")


@router.get("/broken")
def broken() -> Response:
    raise ZeroDivisionError("a secret path")


@router.get("/misshapen")
def misshapen() -> Response:
    return Json(Limit.model_validate({"most": "a secret row"}).model_dump())


@router.get("/ids")
def show_ids(request: Request) -> Response:
    return Json({"own": ids.request_id.get(), "given": request.headers.get("x-openstack-request-id")})


@router.get("/big")
def big() -> Response:
    return Response(b"x" * 5_000_000)


@router.put("/count")
async def count(request: Request) -> Response:
    return Json({"bytes": sum([len(chunk) async for chunk in request.stream()])})


def is_well() -> None:
    return None


def is_ill() -> None:
    raise Unavailable("the database does not answer")


def a_service(**changes: object) -> Service:
    verifier = TokenVerifier(fetch_keys=lambda: KEYS, fetch_revocations=list)
    given: dict[str, object] = {
        "name": "thing",
        "routers": [router],
        "faults": PlainFaults(),
        "state": {"verifier": verifier},
        "limits": Limits(body_bytes=1000, streamed=lambda scope: scope["path"] == "/count"),
        "probes": {"database": is_well},
    }
    return Service(**given | changes)  # type: ignore[arg-type]


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(create_app(a_service()), raise_server_exceptions=False) as client:
        yield client


def a_token() -> str:
    return sign(a_caller(), key=KEY, key_id="k1")


@pytest.mark.parametrize("path", ["/who", "/missing", "/broken", "/nowhere", "/healthz"])
def test_every_answer_carries_its_own_request_id(client: TestClient, path: str) -> None:
    answers = [client.get(path, headers={"X-OpenStack-Request-ID": "req-of-the-client"}) for _ in range(2)]

    seen = [answer.headers["x-openstack-request-id"] for answer in answers]
    assert all(re.fullmatch(r"req-[0-9a-f-]{36}", one) for one in seen)
    assert seen[0] != seen[1]


def test_a_route_logs_under_the_id_that_the_client_gets(client: TestClient) -> None:
    answer = client.get("/ids")

    assert answer.json()["own"] == answer.headers["x-openstack-request-id"]


def test_c11_an_unforeseen_error_shows_nothing_of_the_inside(client: TestClient) -> None:
    answer = client.get("/broken")

    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "ZeroDivision" not in answer.text


def test_what_we_wrote_down_wrongly_ourselves_is_not_the_caller_s_fault(client: TestClient) -> None:
    answer = client.get("/misshapen")

    assert answer.status_code == 500
    assert "secret" not in answer.text and "most" not in answer.text


def test_an_error_is_worded_by_the_service_s_faults(client: TestClient) -> None:
    assert client.get("/missing").json() == {"error": {"code": 404, "message": "no such thing"}}


def test_the_caller_comes_from_the_token_alone(client: TestClient) -> None:
    forged = {"X-User-Id": "root", "X-Roles": "admin", "X-Is-Admin-Project": "True"}

    assert client.get("/who", headers=forged).status_code == 401
    assert client.get("/who", headers={"X-Auth-Token": a_token(), **forged}).json() == {"user": "u1"}


def test_two_tokens_in_one_request_are_none(client: TestClient) -> None:
    headers = [("X-Auth-Token", a_token()), ("X-Auth-Token", a_token())]

    assert client.get("/who", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        "{", "", "[" * 100_000, '{"a": 1, "a": 2}', '{"a": NaN}', '{"a": Infinity}', '{"a": 1e400}', "\x00", "{'a': 1}",
    ],
)  # fmt: skip
def test_c8_json_that_is_not_quite_json_is_refused(body: str) -> None:
    roomy = create_app(a_service(limits=Limits(body_bytes=1_000_000)))
    with TestClient(roomy, raise_server_exceptions=False) as client:
        answer = client.post("/echo", content=body)

    assert answer.status_code == 400


@pytest.mark.parametrize("declared", [True, False])
def test_c8_a_body_beyond_the_limit_is_refused(client: TestClient, declared: bool) -> None:
    body = json.dumps({"a": "x" * 2000}).encode()

    answer = client.post("/echo", content=body if declared else iter([body[:500], body[500:]]))

    assert answer.status_code == TooLarge.status


def test_a_path_that_streams_counts_its_bytes_itself(client: TestClient) -> None:
    assert client.put("/count", content=b"x" * 100_000).json() == {"bytes": 100_000}


def test_unknown_paths_get_the_plain_page(client: TestClient) -> None:
    answer = client.get("/nowhere")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=UTF-8"


def test_readiness_names_the_part_that_does_not_answer() -> None:
    with TestClient(create_app(a_service(probes={"database": is_ill, "bus": is_well}))) as client:
        answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["failing"] == {"database": "the database does not answer"}


def test_metrics_tell_requests_by_status(client: TestClient) -> None:
    client.get("/missing")

    assert re.search(r'pileus_http_requests_total\{.*status="404"\} \d', client.get("/metrics").text)


# ---------------------------------------------------------------- between services of one process


@pytest.fixture
def inside() -> Iterator[Inside]:
    inside = Inside()
    inside.add("thing", create_app(a_service()))
    yield inside
    inside.close()


def test_a_service_reaches_another_without_a_network(inside: Inside) -> None:
    things = ServiceClient("http://thing", inside=inside, token=a_token)

    assert things.request("GET", "/who").json() == {"user": "u1"}


def test_the_caller_s_request_id_goes_along_as_the_global_one(inside: Inside) -> None:
    with ids.bound(ids.request_id, "req-outer"):
        seen = ServiceClient("http://thing", inside=inside).request("GET", "/ids").json()

    assert seen["given"] == "req-outer"
    assert seen["own"] != "req-outer"


def test_an_error_of_the_other_service_is_ours_again(inside: Inside) -> None:
    with pytest.raises(NotFound, match="no such thing"):
        ServiceClient("http://thing", inside=inside).request("GET", "/missing")


def test_a_service_that_is_not_there_is_unavailable(inside: Inside) -> None:
    with pytest.raises(Unavailable):
        ServiceClient("http://nobody", inside=inside).request("GET", "/")


def test_bytes_stream_both_ways(inside: Inside) -> None:
    things = ServiceClient("http://thing", inside=inside)

    sent = things.request("PUT", "/count", content=(b"x" * 1000 for _ in range(500))).json()
    with things.stream("GET", "/big") as answer:
        received = sum(len(chunk) for chunk in answer.iter_bytes())

    assert (sent, received) == ({"bytes": 500_000}, 5_000_000)


def test_a_reader_that_leaves_early_holds_up_nobody(inside: Inside) -> None:
    things = ServiceClient("http://thing", inside=inside)

    with things.stream("GET", "/big") as answer:
        next(answer.iter_bytes(chunk_size=10))

    until(lambda: things.request("GET", "/healthz").status_code == 200)


def test_a_service_that_takes_too_long_is_told_that_nobody_waits_any_more(inside: Inside) -> None:
    ended = threading.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        while (await receive())["type"] != "http.disconnect":
            pass
        ended.set()

    inside.add("slow", slow)

    with pytest.raises(Unavailable):
        ServiceClient("http://slow", inside=inside, timeout_s=0.05).request("GET", "/")

    assert ended.wait(60)


def test_a_log_line_is_json_without_secrets_and_cut() -> None:
    record = logging.makeLogRecord({"msg": "x" * 5000, "levelname": "INFO", "admin_password": "canary", "size": 3})

    line = json.loads(ids.JsonLines().format(record))

    assert (line["admin_password"], line["size"]) == ("***", 3)
    assert len(line["message"]) < 2200


def test_a_trace_context_is_carried_on_and_a_bad_one_replaced() -> None:
    given = f"00-{'ab' * 16}-{'cd' * 8}-01"

    assert ids.child_traceparent(given).startswith(f"00-{'ab' * 16}-")
    assert ids.child_traceparent(given) != given
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", ids.child_traceparent("00-zz"))
