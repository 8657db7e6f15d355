"""Sharing an image with another project, and what that project makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.image.world import BOB, World


@pytest.fixture
def shared(world: World) -> str:
    """An image of Alice's that Bob has not answered to."""
    image_id: str = world.create(name="offered")["id"]
    assert world.alice.post(f"/v2/images/{image_id}/members", json={"member": BOB}).status_code == 200
    return image_id


def listed(world: World, query: str = "") -> list[str]:
    return [one["id"] for one in world.bob.get(f"/v2/images{query}").json()["images"]]


def answered(world: World, image_id: str, status: str) -> Any:
    return world.bob.put(f"/v2/images/{image_id}/members/{BOB}", json={"status": status})


def test_a_new_member_is_pending_and_can_look_at_the_image(world: World, shared: str) -> None:
    members = world.alice.get(f"/v2/images/{shared}/members").json()

    [member] = members["members"]
    assert members["schema"] == "/v2/schemas/members"
    assert (member["member_id"], member["image_id"], member["status"]) == (BOB, shared, "pending")
    assert member["schema"] == "/v2/schemas/member"
    assert world.bob.get(f"/v2/images/{shared}").status_code == 200


def test_only_what_a_member_accepted_is_in_its_lists(world: World, shared: str) -> None:
    before = listed(world)
    pending = listed(world, "?member_status=pending&visibility=shared")
    answered(world, shared, "accepted")
    accepted = listed(world)
    answered(world, shared, "rejected")

    assert (before, pending, accepted) == ([], [shared], [shared])
    assert (listed(world), listed(world, "?member_status=all")) == ([], [shared])


def test_the_owner_cannot_answer_for_a_member(world: World, shared: str) -> None:
    answer = world.alice.put(f"/v2/images/{shared}/members/{BOB}", json={"status": "accepted"})

    assert answer.status_code == 403


def test_a_member_sees_itself_alone_and_changes_nothing_of_the_image(world: World, shared: str) -> None:
    world.alice.post(f"/v2/images/{shared}/members", json={"member": "another-project"})

    seen = world.bob.get(f"/v2/images/{shared}/members").json()["members"]

    assert [one["member_id"] for one in seen] == [BOB]
    assert world.bob.get(f"/v2/images/{shared}/members/another-project").status_code == 404
    assert world.bob.delete(f"/v2/images/{shared}/members/{BOB}").status_code == 403
    assert world.bob.post(f"/v2/images/{shared}/members", json={"member": "x"}).status_code == 403
    assert world.bob.delete(f"/v2/images/{shared}").status_code == 403
    assert world.bob.post(f"/v2/images/{shared}/actions/deactivate").status_code == 403


def test_who_is_removed_sees_nothing_any_more(world: World, shared: str) -> None:
    answered(world, shared, "accepted")

    removed = world.alice.delete(f"/v2/images/{shared}/members/{BOB}")

    assert removed.status_code == 204
    assert listed(world) == []
    assert world.bob.get(f"/v2/images/{shared}").status_code == 404
    assert world.alice.delete(f"/v2/images/{shared}/members/{BOB}").status_code == 404


def test_members_of_an_image_that_is_private_again_see_it_no_more(world: World, shared: str) -> None:
    answered(world, shared, "accepted")

    world.patch(shared, {"op": "replace", "path": "/visibility", "value": "private"})

    assert world.bob.get(f"/v2/images/{shared}").status_code == 404
    assert listed(world, "?visibility=shared&member_status=all") == []


@pytest.mark.parametrize("visibility", ["private", "community"])
def test_only_shared_images_have_members(world: World, visibility: str) -> None:
    image_id = world.create(visibility=visibility)["id"]

    made = world.alice.post(f"/v2/images/{image_id}/members", json={"member": BOB})
    asked = world.alice.get(f"/v2/images/{image_id}/members")

    assert (made.status_code, asked.status_code) == (403, 403)
    assert "Only shared images have members." in made.json()["message"]


def test_the_same_member_twice_is_409(world: World, shared: str) -> None:
    assert world.alice.post(f"/v2/images/{shared}/members", json={"member": BOB}).status_code == 409


def test_more_members_than_an_image_may_have_are_413(world: World) -> None:
    image_id = world.create()["id"]
    for number in range(world.kit.settings.max_members):
        world.alice.post(f"/v2/images/{image_id}/members", json={"member": f"project-{number}"})

    assert world.alice.post(f"/v2/images/{image_id}/members", json={"member": "one-more"}).status_code == 413


@pytest.mark.parametrize("body", [{}, {"member": ""}, {"member": 1}, {"member": "x" * 256}, [], {"member": "a\0b"}])
def test_a_member_that_cannot_be_is_400(world: World, body: Any) -> None:
    image_id = world.create()["id"]

    assert world.alice.post(f"/v2/images/{image_id}/members", json=body).status_code == 400


@pytest.mark.parametrize("body", [{}, {"status": "notavalidstatus"}, {"status": None}])
def test_an_answer_that_is_none_is_400(world: World, shared: str, body: Any) -> None:
    assert world.bob.put(f"/v2/images/{shared}/members/{BOB}", json=body).status_code == 400


def test_strangers_learn_nothing_of_members(world: World) -> None:
    image_id = world.create()["id"]
    path = f"/v2/images/{image_id}/members"

    answers = [
        world.bob.get(path),
        world.bob.post(path, json={"member": BOB}),
        world.bob.get(f"{path}/{BOB}"),
        world.bob.put(f"{path}/{BOB}", json={"status": "accepted"}),
        world.bob.delete(f"{path}/{BOB}"),
    ]

    assert [one.status_code for one in answers] == [404] * 5


def test_a_deactivated_image_keeps_its_bytes_to_itself(world: World) -> None:
    image_id = world.active(b"bytes")["id"]
    file, actions = f"/v2/images/{image_id}/file", f"/v2/images/{image_id}/actions"

    first, again = (world.alice.post(f"{actions}/deactivate").status_code for _ in range(2))
    refused, for_admin = world.alice.get(file), world.admin.get(file)
    status = world.shown(image_id)["status"]
    world.alice.post(f"{actions}/reactivate")

    assert (first, again, refused.status_code, for_admin.content, status) == (204, 204, 403, b"bytes", "deactivated")
    assert world.alice.get(file).content == b"bytes"


def test_an_image_without_bytes_is_neither_deactivated_nor_reactivated(world: World) -> None:
    image_id = world.create()["id"]

    answers = [world.alice.post(f"/v2/images/{image_id}/actions/{one}") for one in ("deactivate", "reactivate")]

    assert [one.status_code for one in answers] == [403, 403]
