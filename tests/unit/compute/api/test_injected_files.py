"""Files that a request for a server brings along (`personality`), until 2.56."""

from __future__ import annotations

import base64
from typing import Any
from uuid import UUID

import pytest

from services.compute.db.server_states import ServerStates
from services.compute.sagas.guest_spec import identity_of
from tests.unit.compute.api.world import ALICE, World

FILE = {"path": "/etc/motd", "contents": base64.b64encode(b"hello").decode()}


def order(world: World, files: Any, version: str = "2.56") -> Any:
    headers = {"OpenStack-API-Version": f"compute {version}"}
    body = world.order(personality=files) | {}
    if int(version[2:]) >= 37:
        body["server"]["networks"] = "none"
    return world.alice.post("/v2.1/servers", json=body, headers=headers)


@pytest.mark.parametrize("version", ["2.1", "2.56"])
def test_files_are_kept_for_the_guest_which_gets_a_config_drive_for_them(world: World, version: str) -> None:
    answer = order(world, [FILE], version)

    assert answer.status_code == 202, answer.text
    server_id = answer.json()["server"]["id"]
    with world.kit.database.reading() as session:
        known = identity_of(ServerStates(session).read(UUID(server_id)))
    assert [(one.path, one.content()) for one in known.files] == [("/etc/motd", b"hello")]
    assert world.alice.get(f"/v2.1/servers/{server_id}").json()["server"]["config_drive"] == "True"


def test_without_files_there_is_no_drive_for_them(world: World) -> None:
    server_id = order(world, []).json()["server"]["id"]

    assert world.row(server_id).files is None and not world.row(server_id).has_config_drive


@pytest.mark.parametrize(
    ("version", "files", "status"),
    [
        ("2.57", [], 400),
        ("2.57", [FILE], 400),
        ("2.104", [FILE], 400),
        ("2.1", [FILE | {"contents": "This is a test file."}], 400),
        ("2.1", [FILE | {"contents": 1}], 400),
        ("2.1", [FILE | {"path": ""}], 400),
        ("2.1", [FILE | {"path": "a\0b"}], 400),
        ("2.1", [FILE | {"mode": "0777"}], 400),
        ("2.1", [{"path": "/a"}], 400),
        ("2.1", FILE, 400),
        ("2.1", [FILE] * 6, 403),
        ("2.1", [FILE | {"path": "/" + "a" * 255}], 403),
        ("2.1", [FILE | {"contents": base64.b64encode(b"x" * 10_241).decode()}], 403),
    ],
)
def test_files_that_cannot_be_are_refused(world: World, version: str, files: Any, status: int) -> None:
    answer = order(world, files, version)

    assert answer.status_code == status, answer.text
    assert world.alice.get("/v2.1/servers").json() == {"servers": []}


def test_the_limit_is_the_projects_own(world: World) -> None:
    world.admin().put(f"/v2.1/os-quota-sets/{ALICE}", json={"quota_set": {"injected_files": 1}})

    assert order(world, [FILE]).status_code == 202
    assert order(world, [FILE] * 2).json()["forbidden"]["message"] == "Personality file limit exceeded"


@pytest.mark.parametrize(("files", "kept"), [([FILE | {"path": "/b"}], ["/b"]), (None, [])])
def test_a_rebuild_brings_its_own_files_or_none(world: World, files: Any, kept: list[str]) -> None:
    server_id = world.active_server(personality=[FILE])
    given = {} if files is None else {"personality": files}

    answer = world.alice.post(
        f"/v2.1/servers/{server_id}/action", json={"rebuild": {"imageRef": str(world.gallery.add().id)} | given}
    )

    assert answer.status_code == 202, answer.text
    assert [one["path"] for one in world.row(server_id).files or []] == kept


def test_a_rebuild_with_too_many_files_is_refused(world: World) -> None:
    server_id = world.active_server()
    body = {"rebuild": {"imageRef": str(world.gallery.add().id), "personality": [FILE] * 6}}

    answer = world.alice.post(f"/v2.1/servers/{server_id}/action", json=body)

    assert (answer.status_code, world.row(server_id).task_state) == (403, None)
