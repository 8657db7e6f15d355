"""Projects do not see each other (C1), nor does anybody see what is under the hood (C11)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.unit.compute.api.world import ADMIN, ALICE, BOB, World

NOBODYS = "a0e4475e-22fb-4d30-add2-bbb808cf797a"
ON_A_SERVER: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("PUT", "", {"server": {"name": "mine now"}}),
    ("DELETE", "", None),
    ("POST", "/action", {"os-start": None}),
    ("POST", "/action", {"os-stop": None}),
    ("POST", "/action", {"reboot": {"type": "HARD"}}),
    ("POST", "/action", {"os-getConsoleOutput": {}}),
    ("GET", "/metadata", None),
    ("POST", "/metadata", {"metadata": {"a": "b"}}),
    ("PUT", "/metadata", {"metadata": {"a": "b"}}),
    ("PUT", "/metadata/a", {"meta": {"a": "b"}}),
    ("GET", "/metadata/a", None),
    ("DELETE", "/metadata/a", None),
    ("GET", "/tags", None),
    ("PUT", "/tags", {"tags": []}),
    ("PUT", "/tags/t", None),
    ("GET", "/tags/t", None),
    ("DELETE", "/tags/t", None),
    ("DELETE", "/tags", None),
    ("GET", "/ips", None),
    ("GET", "/ips/net", None),
    ("GET", "/os-interface", None),
    ("GET", "/os-volume_attachments", None),
    ("GET", "/os-security-groups", None),
    ("GET", "/os-instance-actions", None),
    ("GET", "/os-instance-actions/req-1", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ON_A_SERVER, ids=lambda part: str(part)[:40])
def test_whatever_is_tried_on_a_server_of_others_ends_like_on_none(
    world: World, method: str, path: str, body: Any
) -> None:
    server_id = world.active_server(metadata={"a": "1"})
    before = world.row(server_id)
    mallory = world.person(BOB, version="2.104")

    on_others, on_none = (
        mallory.request(method, f"/v2.1/servers/{one}{path}", json=body) for one in (server_id, NOBODYS)
    )

    assert on_others.status_code == on_none.status_code == 404
    assert on_others.text.replace(server_id, NOBODYS) == on_none.text
    after = world.row(server_id)
    assert (after.updated_at, after.task_state, after.attributes) == (before.updated_at, None, {"a": "1"})


@pytest.mark.parametrize("path", ["servers", "servers/detail", "flavors", "limits", "os-keypairs"])
def test_a_project_id_in_the_path_gives_nobody_anothers_things(world: World, path: str) -> None:
    """C1.  Nova answers 400; an administrator's token is no exception."""
    world.server()

    for roles in (("member", "reader"), ADMIN):
        answer = world.person(BOB, roles).get(f"/v2.1/{ALICE}/{path}")
        assert answer.status_code == 400
        assert "probe" not in answer.text


def test_no_header_of_a_clients_makes_it_somebody_else(world: World) -> None:
    server_id = world.server()
    forged = {"x-project-id": ALICE, "x-roles": "admin", "x-identity-status": "Confirmed", "x-user-id": "root"}

    assert world.bob.get(f"/v2.1/servers/{server_id}", headers=forged).status_code == 404
    assert world.bob.get("/v2.1/os-services", headers=forged).status_code == 403


def test_two_tokens_in_one_request_are_none(world: World) -> None:
    headers = [("x-auth-token", world.alice.headers["x-auth-token"]), ("x-auth-token", "other")]

    answer = world.alice.send(httpx.Request("GET", "http://compute/v2.1/servers", headers=headers))

    assert answer.status_code == 401


def test_a_broken_database_tells_users_a_kind_and_an_id(world: World) -> None:
    """C11: no SQL, no path, no trace."""
    with world.kit.database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE servers RENAME TO elsewhere")

    answer = world.alice.get("/v2.1/servers")

    assert answer.status_code >= 500
    assert answer.headers["x-openstack-request-id"] in answer.text
    for secret in ("SELECT", "servers.id", "sqlite", "Traceback", "/work", "elsewhere"):
        assert secret not in answer.text
