"""The client that other services use, against the real application; and what is told on the bus."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from uuid import uuid4

import pytest

from common.bus.bus import Handlers
from common.errors import Conflict, Forbidden, NotFound, Unauthenticated, Unavailable
from services.image.client import ImageClient
from services.image.contract import ImageActivated, ImageChanged, ImageCreated, ImageDeleted, ImageRefused
from tests.harness.waiting import until
from tests.unit.image.world import ALICE, BOB, World, a_token


@pytest.fixture
def service(world: World) -> Iterator[ImageClient]:
    """Another service's, which belongs to no project of the image's."""
    token = a_token(BOB, ("service",))
    client = ImageClient("http://image", inside=world.inside, token=lambda: token)
    yield client
    client.close()


def test_it_shows_what_others_need_to_know(world: World, service: ImageClient) -> None:
    image = world.active(b"0123456789", name="guest", min_disk=2, colour="red", tags=["t"], visibility="private")

    facts = service.show(image["id"])

    assert (str(facts.id), facts.name, facts.status, facts.owner) == (image["id"], "guest", "active", ALICE)
    assert (facts.size, facts.virtual_size, facts.disk_format, facts.container_format) == (10, 10, "raw", "bare")
    assert (facts.checksum, facts.os_hash_value) == (image["checksum"], image["os_hash_value"])
    assert (facts.min_disk, facts.min_ram, facts.protected, facts.visibility) == (2, 0, False, "private")
    assert facts.properties == {"colour": "red"}
    assert facts.tags == ("t",)


def test_a_user_s_token_shows_only_what_the_user_may_see(world: World, service: ImageClient) -> None:
    image = world.active(visibility="private")

    assert service.show(image["id"], token=a_token(ALICE)).direct_url is None
    with pytest.raises(NotFound, match=f"^No image found with ID {image['id']}$"):
        service.show(image["id"], token=a_token(uuid4().hex))
    with pytest.raises(Unauthenticated):
        service.show(image["id"], token="nonsense")
    with pytest.raises(Forbidden):
        service.show(image["id"], token=a_token(ALICE, ("guest",)))


def test_it_downloads_in_pieces(world: World, service: ImageClient) -> None:
    data = os.urandom(5_000_000)
    image = world.active(data)
    digest, largest = hashlib.sha512(), 0

    with service.download(image["id"]) as pieces:
        for piece in pieces:
            digest.update(piece)
            largest = max(largest, len(piece))

    assert digest.hexdigest() == image["os_hash_value"]
    assert 0 < largest <= 1 << 20


def test_a_download_may_be_left_in_the_middle(world: World, service: ImageClient) -> None:
    image = world.active(os.urandom(20_000_000))

    with service.download(image["id"]) as pieces:
        next(pieces)

    assert service.show(image["id"]).status == "active"


def test_on_the_same_machine_it_knows_where_the_bytes_lie(world: World, service: ImageClient) -> None:
    image = world.active(b"here")
    queued = world.create()

    path = service.local_path(image["id"])

    assert path is not None
    assert path.read_bytes() == b"here"
    assert service.local_path(queued["id"]) is None


def test_a_file_that_is_another_machine_s_is_not_offered(world: World, service: ImageClient) -> None:
    image = world.active(b"here")
    path = world.kit.store.path(image["id"])

    path.rename(path.with_name("elsewhere"))
    absent = service.local_path(image["id"])
    path.write_bytes(b"something of another size")
    different = service.local_path(image["id"])

    assert (absent, different) == (None, None)


def test_the_store_losing_bytes_is_told_as_not_found_without_a_path(world: World) -> None:
    image = world.active()
    world.kit.store.path(image["id"]).unlink()

    answer = world.alice.get(f"/v2/images/{image['id']}/file")

    assert answer.status_code == 404
    assert str(world.kit.store.directory) not in answer.text


def test_the_bus_hears_of_every_change(world: World) -> None:
    heard: list[str] = []
    handlers = Handlers()
    for kind in (ImageCreated, ImageChanged, ImageActivated, ImageRefused, ImageDeleted):
        handlers.hears(kind)(lambda event: heard.append(type(event).topic))
    world.kit.bus.listen("image.#", handlers)

    image_id = world.create()["id"]
    world.upload(image_id, b"QFI\xfb".ljust(2000, b"\0"))
    world.upload(image_id, b"fine")
    world.patch(image_id, {"op": "add", "path": "/a", "value": "b"})
    world.alice.delete(f"/v2/images/{image_id}")

    until(lambda: len(heard) == 5, what="five events")
    assert sorted(heard) == [
        f"image.image.{what}" for what in ("activated", "changed", "created", "deleted", "refused")
    ]


def test_an_error_of_the_api_is_the_platform_s_own(world: World, service: ImageClient) -> None:
    image = world.active()

    with pytest.raises(Conflict, match="active to saving"):
        service.request(
            "PUT",
            f"/v2/images/{image['id']}/file",
            token=a_token(ALICE),
            headers={"content-type": "application/octet-stream"},
            content=b"x",
        )


# ---------------------------------------------------------------- images that the compute service makes of servers


def a_snapshot(world: World, **more: str) -> str:
    body = {"name": "s", "disk_format": "raw", "container_format": "bare", "instance_uuid": str(uuid4())} | more
    return str(world.create(None, **body)["id"])


def test_a_service_brings_the_bytes_of_a_snapshot_in_pieces_and_removes_it(world: World, service: ImageClient) -> None:
    image_id, data = a_snapshot(world, backup_type="daily"), os.urandom(3_000_000)

    service.upload(image_id, iter([data[:1_000_000], data[1_000_000:]]), len(data))

    assert service.status(image_id) == "active"
    assert service.show(image_id).os_hash_value == hashlib.sha512(data).hexdigest()
    assert [str(one.id) for one in service.find(owner=ALICE, backup_type="daily")] == [image_id]
    service.remove(image_id)
    with pytest.raises(NotFound):
        service.status(image_id)


def test_an_upload_that_breaks_off_leaves_the_image_waiting(world: World, service: ImageClient) -> None:
    image_id = a_snapshot(world)

    def pieces() -> Iterator[bytes]:
        yield b"x" * 100
        raise Conflict("not wanted any more")

    with pytest.raises((Conflict, Unavailable)):
        service.upload(image_id, pieces(), 200)

    until(lambda: service.status(image_id) == "queued", what="the image waiting again")


def test_a_service_touches_no_image_that_was_not_made_of_a_server(world: World, service: ImageClient) -> None:
    image = world.create(disk_format="raw", container_format="bare")

    with pytest.raises(Forbidden):
        service.upload(image["id"], iter([b"x"]), 1)
    with pytest.raises(Forbidden):
        service.remove(image["id"])


def test_an_image_is_made_shared_and_changed_in_its_owner_s_name(world: World, service: ImageClient) -> None:
    alice, bob = a_token(ALICE), a_token(BOB)

    image = service.create({"name": "n", "visibility": "shared", "k": "v"}, token=alice)
    service.share(image.id, BOB, token=alice)
    changed = service.change(image.id, [{"op": "add", "path": "/k", "value": "w"}], token=alice)

    assert (image.owner, image.status, changed.properties["k"]) == (ALICE, "queued", "w")
    assert service.show(image.id, token=bob).id == image.id
    with pytest.raises((NotFound, Forbidden)):
        service.remove(image.id, token=bob)
