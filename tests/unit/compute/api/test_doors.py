"""What every answer has: versions, ids, and faults in Nova's words."""

from __future__ import annotations

import pytest

from tests.unit.compute.api.world import ALICE, BOB, URL, World, a_token

SERVERS = "/v2.1/servers"


@pytest.mark.parametrize(
    ("headers", "used"),
    [
        ({}, "2.1"),
        ({"OpenStack-API-Version": "compute 2.79"}, "2.79"),
        ({"X-OpenStack-Nova-API-Version": "2.12"}, "2.12"),
        ({"OpenStack-API-Version": "compute latest"}, "2.104"),
        ({"OpenStack-API-Version": "volume 3.70, compute 2.90"}, "2.90"),
        ({"OpenStack-API-Version": "2.1, compute 2.90"}, "2.90"),
        ({"OpenStack-API-Version": "volume 3.70"}, "2.1"),
        ({"OpenStack-API-Version": "compute 2.90", "X-OpenStack-Nova-API-Version": "2.12"}, "2.90"),
    ],
)
def test_the_version_used_is_echoed_in_both_headers(world: World, headers: dict[str, str], used: str) -> None:
    answer = world.alice.get(SERVERS, headers=headers)

    assert answer.status_code == 200
    assert answer.headers["openstack-api-version"] == f"compute {used}"
    assert answer.headers["x-openstack-nova-api-version"] == used
    assert answer.headers["vary"] == "OpenStack-API-Version, X-OpenStack-Nova-API-Version"
    assert answer.headers["x-openstack-request-id"] == answer.headers["x-compute-request-id"]


@pytest.mark.parametrize("version", ["2.999", "9.9", "2.105", "3.0", "2.0", "1.1", "2.999999999"])
def test_a_version_out_of_range_is_406_with_the_range(world: World, version: str) -> None:
    answer = world.alice.get(SERVERS, headers={"OpenStack-API-Version": f"compute {version}"})

    message = f"Version {version} is not supported by the API. Minimum is 2.1 and maximum is 2.104."
    assert (answer.status_code, answer.json()) == (406, {"computeFault": {"code": 406, "message": message}})
    assert answer.headers["openstack-api-version"] == f"compute {version}"


@pytest.mark.parametrize(
    "version", ["abc", "2", "2.", "2.01", "-2.1", "2.1.1", "2.1 ; x", "9" * 5000, "2." + "9" * 400]
)
def test_a_malformed_version_is_400_and_not_echoed(world: World, version: str) -> None:
    answer = world.alice.get(SERVERS, headers={"OpenStack-API-Version": f"compute {version}"})

    assert answer.status_code == 400
    assert "is of invalid format. Must be of format MajorNum.MinorNum." in answer.json()["badRequest"]["message"]
    assert "openstack-api-version" not in answer.headers
    assert len(answer.content) < 300


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v2.1/nonsense"), ("PUT", "/v2.1/servers"), ("GET", "/nonsense")]
)
def test_what_no_route_knows_is_a_page(world: World, method: str, path: str) -> None:
    answer = world.alice.request(method, path)

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=UTF-8"
    assert "openstack-api-version" not in answer.headers
    assert "<h1>404 Not Found</h1>\n  The resource could not be found.<br /><br />" in answer.text


@pytest.mark.parametrize("token", [None, "nonsense", "a.b.c"])
def test_without_a_good_token_it_is_401_in_the_token_checks_words(world: World, token: str | None) -> None:
    headers = {"x-auth-token": token or "", "OpenStack-API-Version": "compute abc"}

    answer = world.alice.get(SERVERS, headers=headers)

    assert answer.status_code == 401
    assert answer.json() == {
        "error": {
            "code": 401,
            "title": "Unauthorized",
            "message": "The request you have made requires authentication.",
        }
    }
    assert answer.headers["www-authenticate"] == 'Keystone uri="http://cloud.test/identity"'


@pytest.mark.parametrize("path", ["/v2.1", "/v2.1/"])
def test_versions_are_told_without_a_token_and_with_public_addresses(world: World, path: str) -> None:
    answer = world.alice.get(path, headers={"x-auth-token": "", "host": "evil.test"})

    version = answer.json()["version"]
    assert (version["min_version"], version["version"], version["status"]) == ("2.1", "2.104", "CURRENT")
    assert version["links"][0] == {"rel": "self", "href": f"{URL}/v2.1/"}
    assert "evil" not in answer.text + world.alice.get("/", headers={"host": "evil.test"}).text


def test_a_project_in_the_path_must_be_the_tokens(world: World) -> None:
    server_id = world.server()

    own = world.alice.get(f"/v2.1/{ALICE}/servers/{server_id}")
    others = world.alice.get(f"/v2.1/{BOB}/servers/{server_id}")

    assert (own.status_code, own.json()["server"]["id"]) == (200, server_id)
    assert others.status_code == 400
    assert others.json()["badRequest"]["message"].startswith("Malformed request URL: URL's project_id")


def test_unknown_query_parameters_are_passed_over_before_2_75_and_refused_since(world: World) -> None:
    before, then = (world.at(one).get(f"{SERVERS}?nonsense=1") for one in ("2.74", "2.75"))

    assert before.status_code == 200
    assert then.json() == {"badRequest": {"code": 400, "message": "'nonsense' does not match any of the regexes: '^_'"}}


def test_a_query_parameter_for_what_lies_below_is_passed_over_at_every_version(world: World) -> None:
    assert [world.at(one).get(f"{SERVERS}?_secret=1").status_code for one in ("2.74", "2.75", "2.104")] == [200] * 3


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"server"', "application/json", 400),
        (b'{"server": {}, "server": {}}', "application/json", 400),
        (b'{"server": {"name": NaN}}', "application/json", 400),
        (b'{"server": {"name": 1e400}}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"name: x", "text/yaml", 415),
        (b"x" * 2_000_000, "application/json", 413),
    ],
)
def test_a_body_that_is_no_json_is_refused(world: World, body: bytes, kind: str, status: int) -> None:
    answer = world.alice.post(SERVERS, content=body, headers={"content-type": kind})

    assert answer.status_code == status
    [fault] = answer.json().values()
    assert fault["code"] == status


def test_an_error_among_ourselves_names_no_host(world: World) -> None:
    server_id = world.active_server(host="secret-host")

    answer = world.alice.post(f"/v2.1/servers/{server_id}/action", json={"os-getConsoleOutput": {}})

    assert answer.status_code == 503
    assert "secret-host" not in answer.text
    assert answer.headers["x-openstack-request-id"] in answer.json()["serviceUnavailable"]["message"]


def test_a_token_without_a_project_sees_nothing_and_makes_nothing(world: World) -> None:
    world.server()
    headers = {"x-auth-token": a_token(None)}

    listed = world.alice.get(SERVERS, headers=headers)
    made = world.alice.post(SERVERS, json=world.order(), headers=headers)

    assert listed.status_code == 403
    assert made.status_code == 403
