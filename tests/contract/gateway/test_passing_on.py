"""What a service sees of a request and a client of an answer, whichever way the gateway reaches the service."""

from __future__ import annotations

import httpx
import pytest

from tests.unit.gateway.running import Gateway


def test_a_service_sees_its_own_path_and_the_query_as_they_were_sent(gateway: Gateway) -> None:
    seen = httpx.get(f"{gateway.url}/compute/v2.1/servers/a%2Fb%20c?name=x%26y&limit=2").json()

    assert seen["raw_path"] == "/v2.1/servers/a%2Fb%20c"
    assert seen["path"] == "/v2.1/servers/a/b c"
    assert seen["query"] == "name=x%26y&limit=2"


def test_a_service_is_told_how_the_request_came_and_by_nobody_but_the_gateway(gateway: Gateway) -> None:
    forged = {
        "X-Forwarded-Prefix": "/evil",
        "X-Forwarded-Host": "evil",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-For": "1.2.3.4",
    }

    seen = httpx.get(f"{gateway.url}/image/v2/images", headers=forged | {"Host": "cloud.example"}).json()

    told = {name: value for name, value in seen["headers"] if name.startswith("x-forwarded-")}
    assert told == {
        "x-forwarded-prefix": "/image",
        "x-forwarded-host": "cloud.example",
        "x-forwarded-proto": "http",
        "x-forwarded-for": "127.0.0.1",
    }


def test_headers_of_an_answer_arrive_in_order_with_their_repetitions(gateway: Gateway) -> None:
    answer = httpx.get(f"{gateway.url}/identity/v3")

    assert answer.headers.get_list("x-twice") == ["1", "2"]
    assert len(answer.headers.get_list("date")) == 1


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_passes(gateway: Gateway, method: str) -> None:
    assert httpx.request(method, f"{gateway.url}/compute/v2.1").json()["method"] == method


def test_a_head_request_is_answered_with_the_length_and_no_body(gateway: Gateway) -> None:
    answer = httpx.head(f"{gateway.url}/image/v2/images")

    assert answer.status_code == 200 and int(answer.headers["content-length"]) > 0 and answer.content == b""


def test_cookies_of_one_client_are_not_sent_for_the_next(gateway: Gateway) -> None:
    httpx.get(f"{gateway.url}/identity/v3", headers={"Cookie": "a=b"})

    seen = httpx.get(f"{gateway.url}/identity/v3").json()

    assert not [name for name, _ in seen["headers"] if name == "cookie"]


def test_services_that_this_cloud_lacks_are_not_found_in_json(gateway: Gateway) -> None:
    answer = httpx.get(f"{gateway.url}/network/v2.0/ports")

    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "This cloud has no network service"


def test_the_front_page_names_the_services_for_programs_and_for_people(gateway: Gateway) -> None:
    for_programs = httpx.get(gateway.url).json()
    for_people = httpx.get(gateway.url, headers={"Accept": "text/html"})

    assert for_programs["services"]["compute"] == "http://cloud.test/compute"
    assert for_people.headers["content-type"].startswith("text/html") and "http://cloud.test/compute" in for_people.text


def test_readiness_tells_what_each_service_lacks(gateway: Gateway) -> None:
    answer = httpx.get(f"{gateway.url}/readyz")

    assert answer.status_code == 503
    assert answer.json()["failing"]["image"] == "database: The database does not answer"
    assert answer.json()["remarks"]["compute"] == "policy: left out"


def test_the_process_lives_and_counts(gateway: Gateway) -> None:
    httpx.get(f"{gateway.url}/identity/v3")

    assert httpx.get(f"{gateway.url}/healthz").json()["status"] == "ok"
    assert 'pileus_gateway_requests_total{service="identity",status="200"}' in httpx.get(f"{gateway.url}/metrics").text


@pytest.mark.parametrize("path", ["metrics", "healthz", "readyz"])
def test_what_services_tell_their_operators_is_not_for_everybody(gateway: Gateway, path: str) -> None:
    assert httpx.get(f"{gateway.url}/identity/{path}").status_code == 404


def test_a_request_that_would_be_one_too_many_is_told_to_come_again(mode: str) -> None:
    from tests.harness.waiting import until
    from tests.unit.gateway.running import a_gateway, limits

    with a_gateway(mode, limits(most_requests=1)) as gateway, httpx.stream("GET", f"{gateway.url}/compute/endless"):
        refused = httpx.get(f"{gateway.url}/compute/v2.1")

        assert refused.status_code == 503 and refused.headers["retry-after"] == "2"
        assert "busy" in refused.json()["error"]["message"]
    until(gateway.upstream.client_left.is_set, what="the service hears that the client left")
