"""Images of servers: snapshots, backups, shelving; and images as old clients look at them."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from common.errors import Unavailable
from services.compute.db.tables import ServerSaga, ServiceRow
from tests.unit.compute.api.world import ADMIN, ALICE, BOB, IMAGE_URL, URL, World

LATEST = "2.104"


def act(world: World, server_id: str, body: Any, version: str = LATEST, *, admin: bool = False) -> Any:
    client = world.admin(version) if admin else world.at(version)
    return client.post(f"/v2.1/servers/{server_id}/action", json=body)


def sentence(answer: Any) -> str:
    return str(next(iter(answer.json().values()))["message"])


def test_a_snapshot_s_image_is_there_at_once_and_says_what_it_is(world: World) -> None:
    original = world.gallery.add(
        min_ram=64, properties={"os_distro": "debian", "img_signature": "x", "bittorrent": "y", "hw_disk_bus": "virtio"}
    )
    server_id = world.active_server(imageRef=str(original.id))

    answer = act(world, server_id, {"createImage": {"name": "mine", "metadata": {"k": "v", "image_type": "test"}}})

    image_id = UUID(answer.json()["image_id"])
    assert (answer.status_code, world.row(server_id).task_state) == (202, "image_snapshot_pending")
    assert "location" not in answer.headers
    assert world.sagas(server_id)[-1].params == {
        "server_id": server_id, "image_id": str(image_id), "quiesce": "no",
    }  # fmt: skip
    assert world.gallery.bodies[image_id] == {
        "id": str(image_id), "name": "mine", "visibility": "private", "disk_format": "qcow2", "container_format": "bare",
        "min_disk": 1, "min_ram": 64, "os_distro": "debian", "hw_disk_bus": "virtio", "k": "v", "image_type": "test",
        "base_image_ref": str(original.id), "instance_uuid": server_id, "owner_id": ALICE,
        "user_id": world.row(server_id).user_id, "image_location": "snapshot", "image_state": "available",
    }  # fmt: skip
    assert world.gallery.tokens[-1] is not None


@pytest.mark.parametrize("action", ["createImage", "createBackup"])
def test_before_2_45_the_address_of_the_image_is_the_answer(world: World, action: str) -> None:
    options: dict[str, Any] = {"name": "mine"}
    if action == "createBackup":
        options |= {"backup_type": "daily", "rotation": 1}

    answer = act(world, world.active_server(), {action: options}, "2.44")

    [image_id] = world.gallery.bodies
    assert (answer.status_code, answer.content) == (202, b"")
    assert answer.headers["location"] == f"{IMAGE_URL}/v2/images/{image_id}"


@pytest.mark.parametrize(
    ("properties", "quiesce"),
    [
        ({"hw_qemu_guest_agent": "yes"}, "try"),
        ({"hw_qemu_guest_agent": "true", "os_require_quiesce": "yes"}, "must"),
        ({"hw_qemu_guest_agent": "no"}, "no"),
    ],
)
def test_the_image_of_a_server_says_whether_it_is_frozen(
    world: World, properties: dict[str, str], quiesce: str
) -> None:
    server_id = world.active_server(imageRef=str(world.gallery.add(properties=properties).id))

    act(world, server_id, {"createImage": {"name": "mine"}})

    assert world.sagas(server_id)[-1].params["quiesce"] == quiesce


def test_somebody_else_s_snapshot_is_shared_with_the_server_s_owner(world: World) -> None:
    server_id = world.active_server()
    bobs_admin = world.person(BOB, ADMIN, LATEST)

    answer = bobs_admin.post(f"/v2.1/servers/{server_id}/action", json={"createImage": {"name": "theirs"}})

    image_id = UUID(answer.json()["image_id"])
    body = world.gallery.bodies[image_id]
    assert (body["visibility"], body["instance_owner"]) == ("shared", ALICE)
    assert world.gallery.shared == [(image_id, ALICE)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "'name' is a required property"),
        ({"name": ""}, "name"),
        ({"name": "n" * 256}, "name"),
        ({"name": "n", "metadata": {"": ""}}, "Additional properties are not allowed"),
        ({"name": "n", "metadata": {"k": "v" * 256}}, "too long"),
        ({"name": "n", "metadata": {"visibility": "public"}}, "Image metadata cannot set 'visibility'."),
        ({"name": "n", "metadata": {"os_glance_x": "y"}}, "Image metadata cannot set 'os_glance_x'."),
        ({"name": "n", "x": 1}, "Additional properties are not allowed"),
    ],
)
def test_a_snapshot_that_makes_no_sense_is_refused(world: World, options: dict[str, Any], said: str) -> None:
    server_id = world.active_server()

    answer = act(world, server_id, {"createImage": options})

    assert answer.status_code == 400 and said in sentence(answer)
    assert world.gallery.bodies == {} and world.row(server_id).task_state is None


def test_metadata_counts_in_the_quota_until_2_38(world: World) -> None:
    world.admin().put(f"/v2.1/os-quota-sets/{ALICE}", json={"quota_set": {"metadata_items": 1}})
    server_id = world.active_server()
    body = {"createImage": {"name": "n", "metadata": {"a": "1", "b": "2"}}}

    assert act(world, server_id, body, "2.38").status_code == 403
    assert act(world, server_id, body, "2.39").status_code == 202


def test_a_bound_of_the_image_service_is_a_quota_here(world: World) -> None:
    server_id = world.active_server()
    world.gallery.is_full = True

    answer = act(world, server_id, {"createImage": {"name": "n"}})

    assert (answer.status_code, sentence(answer)) == (403, "The project may have no more images")
    assert world.row(server_id).task_state is None


def removals(world: World) -> list[str]:
    """Images that are to be removed."""
    with world.kit.database.reading() as session:
        rows = session.scalars(select(ServerSaga).where(ServerSaga.kind == "remove_image"))
        return [row.params["image_id"] for row in rows]


@pytest.mark.parametrize("body", [{"createImage": {"name": "n"}}, {"shelve": None}], ids=lambda body: next(iter(body)))
def test_an_image_whose_maker_dies_halfway_is_removed_later(
    world: World, monkeypatch: pytest.MonkeyPatch, body: dict[str, Any]
) -> None:
    server_id = world.active_server()

    def die(*_: Any, **__: Any) -> None:
        raise Unavailable("Gone, for the test")

    with monkeypatch.context() as dying:
        dying.setattr("services.compute.api.server_images.NewImage.kept", die)
        dying.setattr(world.gallery, "remove", die)
        assert act(world, server_id, body).status_code == 503

    assert removals(world) == [str(image_id) for image_id in world.gallery.bodies]
    assert world.row(server_id).task_state is None


def test_an_image_that_is_kept_or_refused_is_not_removed_later(world: World) -> None:
    server_id = world.active_server()

    act(world, server_id, {"createImage": {"name": "kept"}})
    world.gallery.is_full = True
    assert act(world, world.active_server(), {"createImage": {"name": "refused"}}).status_code == 403

    assert removals(world) == [] and len(world.gallery.bodies) == 1


def test_an_image_whose_removal_has_begun_is_not_given_to_a_server(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    server_id, create = world.active_server(), world.gallery.create

    def slow(body: dict[str, Any], token: str | None = None) -> Any:
        with world.kit.database.transaction() as session:
            session.execute(update(ServerSaga).where(ServerSaga.kind == "remove_image").values(generation=1))
        return create(body, token)

    monkeypatch.setattr(world.gallery, "create", slow)

    assert act(world, server_id, {"createImage": {"name": "late"}}).status_code == 503
    assert world.row(server_id).task_state is None and len(removals(world)) == 1


def test_a_second_snapshot_waits_and_leaves_no_image(world: World) -> None:
    server_id = world.active_server()
    act(world, server_id, {"createImage": {"name": "one"}})

    answer = act(world, server_id, {"createImage": {"name": "two"}})

    assert answer.status_code == 409
    assert [body["name"] for body in world.gallery.bodies.values()] == ["one"]


def test_a_locked_server_is_imaged_but_not_shelved(world: World) -> None:
    server_id = world.active_server()
    act(world, server_id, {"lock": None})

    assert act(world, server_id, {"shelve": None}).status_code == 409
    assert len(world.gallery.images) == 1
    assert act(world, server_id, {"createImage": {"name": "one"}}).status_code == 202


@pytest.mark.parametrize("action", ["createImage", "createBackup", "shelve", "unshelve"])
def test_what_is_not_one_s_own_is_not_found(world: World, action: str) -> None:
    server_id = world.active_server()
    options = {"name": "n", "backup_type": "daily", "rotation": 1} if action == "createBackup" else {"name": "n"}
    body = {action: options if action.startswith("create") else None}

    assert world.bob.post(f"/v2.1/servers/{server_id}/action", json=body).status_code == 404
    assert world.bob.post(f"/v2.1/servers/{uuid4()}/action", json=body).status_code == 404


def test_a_backup_knows_its_type_and_how_many_are_kept(world: World) -> None:
    server_id = world.active_server()

    answer = act(world, server_id, {"createBackup": {"name": "b", "backup_type": "weekly", "rotation": "3"}})

    body = world.gallery.bodies[UUID(answer.json()["image_id"])]
    assert (body["image_type"], body["backup_type"]) == ("backup", "weekly")
    params = world.sagas(server_id)[-1].params
    assert (params["backup_type"], params["rotation"]) == ("weekly", 3)
    assert world.row(server_id).task_state == "image_backup"


@pytest.mark.parametrize(
    "options",
    [
        {"name": "b", "backup_type": "daily"},
        {"name": "b", "rotation": 1},
        {"name": "b", "backup_type": "daily", "rotation": -1},
        {"name": "b", "backup_type": 1, "rotation": 1},
    ],
)
def test_a_backup_that_makes_no_sense_is_refused(world: World, options: dict[str, Any]) -> None:
    assert act(world, world.active_server(), {"createBackup": options}).status_code == 400


# ---------------------------------------------------------------- shelving


def test_a_shelved_server_s_image_is_named_after_it(world: World) -> None:
    server_id = world.active_server()

    assert act(world, server_id, {"shelve": None}).status_code == 202

    [body] = world.gallery.bodies.values()
    assert (body["name"], body["image_type"]) == ("probe-shelved", "snapshot")
    assert world.row(server_id).task_state == "shelving"


def shelved(world: World) -> str:
    server_id = world.active_server()
    world.become(server_id, vm_state="shelved_offloaded", host=None, zone=None)
    return server_id


@pytest.mark.parametrize(
    ("version", "options", "admin", "status"),
    [
        ("2.1", None, False, 202),
        ("2.76", {"availability_zone": "unheard-of"}, False, 202),  # not looked at yet
        ("2.77", None, False, 202),
        ("2.77", {"availability_zone": "nova"}, False, 202),
        ("2.77", {}, False, 400),
        ("2.77", {"availability_zone": None}, False, 400),
        ("2.77", {"availability_zone": "unheard-of"}, False, 400),
        ("2.90", {"host": "one"}, True, 400),
        ("2.91", {"availability_zone": None}, False, 202),
        ("2.91", {"host": "one"}, False, 403),
        ("2.91", {"host": "one"}, True, 202),
        ("2.91", {"host": "unheard-of"}, True, 400),
        ("2.91", {"availability_zone": "nova", "host": "one"}, True, 202),
        ("2.91", {"availability_zone": None, "host": "one"}, True, 202),
        ("2.91", {}, False, 400),
        ("2.91", {"host": None}, True, 400),
        ("2.91", {"x": "y"}, False, 400),
    ],
)
def test_an_unshelve_takes_a_zone_since_2_77_and_a_host_since_2_91(
    world: World, version: str, options: Any, admin: bool, status: int
) -> None:
    world.host("one")
    server_id = shelved(world)

    answer = act(world, server_id, {"unshelve": options}, version, admin=admin)

    assert answer.status_code == status, answer.text
    if status == 202 and version == "2.91":
        assert world.sagas(server_id)[-1].params["host"] == options.get("host")
        assert world.row(server_id).wanted_zone == options.get("availability_zone")


def test_a_server_that_is_still_on_its_host_goes_to_no_other_zone(world: World) -> None:
    world.host("one")
    server_id = world.active_server()
    world.become(server_id, vm_state="shelved")

    assert act(world, server_id, {"unshelve": {"availability_zone": "nova"}}).status_code == 409
    assert act(world, server_id, {"unshelve": None}).status_code == 202
    assert world.sagas(server_id)[-1].params["in_place"] is True


def test_a_zone_without_an_enabled_host_is_not_available(world: World) -> None:
    world.host("one")
    server_id = shelved(world)
    with world.kit.database.transaction() as session:
        session.execute(update(ServiceRow).values(is_disabled=True))

    answers = (
        act(world, server_id, {"unshelve": {"availability_zone": "nova"}}),
        world.alice.post("/v2.1/servers", json=world.order(availability_zone="nova")),
    )

    sentence = "The requested availability zone is not available"
    assert [(one.status_code, one.json()["badRequest"]["message"]) for one in answers] == [(400, sentence)] * 2
    chosen = world.admin().post("/v2.1/servers", json=world.order(availability_zone="nova:one"))
    assert chosen.status_code == 202


def test_a_host_outside_of_the_zone_is_a_conflict(world: World) -> None:
    world.host("one")
    server_id = shelved(world)
    world.become(server_id, wanted_zone="elsewhere")

    assert act(world, server_id, {"unshelve": {"host": "one"}}, admin=True).status_code == 409


# ---------------------------------------------------------------- images, as old clients see them


def test_images_are_shown_until_2_35_and_their_metadata_until_2_38(world: World) -> None:
    server_id = str(uuid4())
    image = world.gallery.add(properties={"instance_uuid": server_id}, min_disk=3)
    path = f"/v2.1/images/{image.id}"

    shown = world.at("2.35").get(path).json()["image"]

    assert (shown["status"], shown["progress"], shown["minDisk"]) == ("ACTIVE", 100, 3)
    assert (shown["created"], shown["server"]["id"]) == ("2026-01-02T03:04:05Z", server_id)
    assert shown["links"][0]["href"] == f"{URL}/v2.1/images/{image.id}"
    assert world.at("2.38").get(f"{path}/metadata").json() == {"metadata": {"instance_uuid": server_id}}
    for version, gone in (("2.36", path), ("2.36", "/v2.1/images"), ("2.39", f"{path}/metadata")):
        assert world.at(version).get(gone).status_code == 404


def test_filters_of_lists_are_those_of_the_image_service(world: World) -> None:
    image, query = world.gallery.add(), "?status=ACTIVE&server=http://x/servers/abc&type=snapshot&limit=1&property-k=v"

    listed = world.alice.get(f"/v2.1/images{query}&changes-since=2026-01-01T00:00:00Z").json()

    assert [one["id"] for one in listed["images"]] == [str(image.id)] and "images_links" in listed
    assert world.gallery.asked[-1] == {
        "status": "active", "instance_uuid": "abc", "image_type": "snapshot", "k": "v", "limit": "1",
        "updated_at": "gte:2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    assert world.alice.get("/v2.1/images/detail?changes-since=never").status_code == 400
    assert world.alice.get("/v2.1/images/detail").json()["images"][0]["OS-EXT-IMG-SIZE:size"] == 1 << 20


def test_metadata_of_images_is_changed_item_by_item_or_whole(world: World) -> None:
    image = world.gallery.add(properties={"a": "1"})
    path, alice = f"/v2.1/images/{image.id}/metadata", world.alice

    assert alice.post(path, json={"metadata": {"b": "2"}}).json() == {"metadata": {"a": "1", "b": "2"}}
    assert alice.put(f"{path}/a", json={"meta": {"a": "3"}}).json() == {"meta": {"a": "3"}}
    assert alice.get(f"{path}/a").json() == {"meta": {"a": "3"}}
    assert alice.delete(f"{path}/a").status_code == 204
    assert alice.put(path, json={"metadata": {"c": "4"}}).json() == {"metadata": {"c": "4"}}
    assert alice.get(path).json() == {"metadata": {"c": "4"}}
    assert alice.put(f"{path}/x", json={"meta": {"y": "1"}}).status_code == 400
    assert alice.delete(f"{path}/x").status_code == alice.get(f"{path}/x").status_code == 404
    assert alice.post(path, json={"metadata": {"owner": "me"}}).status_code == 400


@pytest.mark.parametrize("image_id", ["nonsense", "-1", str(UUID(int=7))])
def test_an_image_that_is_not_there_is_not_found(world: World, image_id: str) -> None:
    assert world.alice.get(f"/v2.1/images/{image_id}").status_code == 404
    assert world.alice.delete(f"/v2.1/images/{image_id}").status_code == 404
    assert world.alice.get(f"/v2.1/images/{image_id}/metadata").status_code == 404
