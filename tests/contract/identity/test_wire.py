"""Byte for byte what a running Keystone (OpenStack 2026.2) answered to the same requests."""

from __future__ import annotations

import re

import pytest

from tests.unit.identity.worlds import World, scope_to

UNAUTHORIZED = (
    '{"error":{"code":401,"message":"The request you have made requires authentication.","title":"Unauthorized"}}'
)
NOT_ROUTED = (
    "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>The requested URL was not found on "
    "the server. If you entered the URL manually please check your spelling and try again.</p>\n"
)


# fmt: off
SEEN: list[tuple[str, str, object, int, str]] = [
    ("GET",    "/v3/users/none", None, 404,
        '{"error":{"code":404,"message":"Could not find user: none.","title":"Not Found"}}'),
    ("DELETE", "/v3/users/none", None, 404,
        '{"error":{"code":404,"message":"Could not find user: none.","title":"Not Found"}}'),
    ("GET",    "/v3/regions/x", None, 404,
        '{"error":{"code":404,"message":"Could not find region: x.","title":"Not Found"}}'),
    ("POST",   "/v3/projects", {"project": {}}, 400,
        '{"error":{"code":400,"message":"Invalid input for field/attribute project. Value: {}. '
        '\'name\' is a required property","title":"Bad Request"}}'),
    ("GET",    "/v3/nothing", None, 404, NOT_ROUTED),
]
# fmt: on


@pytest.mark.parametrize(("method", "path", "body", "status", "answered"), SEEN)
def test_an_admin_is_answered_to_the_letter(
    world: World, method: str, path: str, body: object, status: int, answered: str
) -> None:
    answer = world.http.request(method, path, headers=world.as_(), json=body)

    assert (answer.status_code, answer.text) == (status, answered)
    assert answer.headers["vary"] == "X-Auth-Token"
    assert re.fullmatch(r"req-[0-9a-f-]{36}", answer.headers["x-openstack-request-id"])


def test_without_a_token_the_answer_is_401_to_the_letter(world: World) -> None:
    for answer in (world.http.get("/v3/users"), world.log_in("admin", "wrong", scope_to("admin"))):
        assert (answer.status_code, answer.text) == (401, UNAUTHORIZED)
        assert answer.headers["www-authenticate"] == 'Keystone uri="http://cloud.test/identity/v3"'
        assert answer.headers["vary"] == "X-Auth-Token"


def test_a_head_of_a_missing_grant_has_only_headers(world: World) -> None:
    user, project = world.id_of("users", "admin"), world.id_of("projects", "admin")

    answer = world.http.head(f"/v3/projects/{project}/users/{user}/roles/zzz", headers=world.as_())

    assert answer.status_code == 404 and answer.headers["content-type"] == "application/json"


def test_times_have_microseconds_and_a_z(world: World) -> None:
    token = world.log_in("demo", "demo-secret", scope_to("demo")).json()["token"]

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000000Z", token["expires_at"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", token["issued_at"])
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", token["audit_ids"][0])


def test_a_deleted_user_leaves_an_empty_answer(world: World) -> None:
    answer = world.http.delete(f"/v3/users/{world.id_of('users', 'demo')}", headers=world.as_())

    assert answer.status_code == 204 and answer.content == b""


def test_the_default_domain_is_shown_as_keystone_shows_it(world: World) -> None:
    [domain] = world.get("/v3/domains", world.as_())["domains"]

    assert domain == {
        "id": "default",
        "name": "Default",
        "description": "The default domain",
        "enabled": True,
        "tags": [],
        "options": {},
        "links": {"self": "http://cloud.test/identity/v3/domains/default"},
    }
