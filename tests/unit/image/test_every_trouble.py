"""The harness over every way to import: at each step each trouble; the image ends active with the right bytes, or as it was."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

import pytest

from services.image.drivers.inspect.inspector import Inspector
from services.image.main import build_tools
from services.image.sagas.import_image import IMPORT_IMAGE
from tests.harness.sagas import Case, Trouble, cases, prove
from tests.security.image.crafted import a_vdi
from tests.unit.image.sagas import ImageWorld, Rewriter, Web, converted
from tests.unit.image.world import World, a_world

pytestmark = pytest.mark.slow

DATA = bytes(range(256)) * 20
OF_A_COPY = ("begin", "keep", "finish")  # the other steps have nothing to do then
NEVER_FAILS = (
    Trouble.NONE,
    Trouble.CRASH_BEFORE,
    Trouble.CRASH_AFTER,
    Trouble.TWICE,
    Trouble.LOST_REPLY,
    Trouble.PAUSE,
)


@pytest.fixture(scope="module")
def inner(tmp_path_factory: pytest.TempPathFactory, inspector: Inspector) -> Iterator[World]:
    """Two stores, and conversion to raw."""
    directory = tmp_path_factory.mktemp("image")
    stores = {"second": directory / "second"}
    with a_world(directory, inspector, convert_imports_to="raw", upload_patience_s=0.001, more_stores=stores) as made:
        yield made


@pytest.fixture
def world(inner: World) -> Iterator[ImageWorld]:
    """What only stands for QEMU and the web; each test ends without images."""
    yield ImageWorld(inner, replace(build_tools(inner.kit), downloads=Web(DATA), converter=Rewriter()))
    for image in inner.alice.get("/v2/images").json()["images"]:
        inner.alice.delete(f"/v2/images/{image['id']}")


def must_be_taken(case: Case) -> bool:
    return case.trouble in NEVER_FAILS and not case.is_undo


def holds(world: ImageWorld, image_id: str, data: bytes, stores: str) -> bool:
    """Whether everything that is said and kept of an active image is right."""
    image = world.inner.shown(image_id)
    paths = [world.inner.kit.stores[name].local(UUID(image_id)) for name in stores.split(",")]
    kept = {path and path.read_bytes() for path in paths}
    told = (image["status"], image["size"], image["os_hash_value"], image["stores"])
    return kept == {data} and told == ("active", len(data), hashlib.sha512(data).hexdigest(), stores)


@pytest.mark.parametrize("case", cases(IMPORT_IMAGE), ids=str)
def test_staged_bytes_become_the_image_s_or_are_gone(world: ImageWorld, case: Case) -> None:
    image_id = world.inner.create()["id"]
    world.inner.stage(image_id, DATA)
    saga_id = world.begun(image_id, "glance-direct", all_stores=True)

    ended = prove(world, IMPORT_IMAGE, saga_id, case)

    assert ended == "done" or not must_be_taken(case)
    if ended == "done":
        assert holds(world, image_id, DATA, "file,second")
    else:
        assert world.inner.shown(image_id)["status"] == "queued"
        assert world.inner.upload(image_id, DATA).status_code == 204


@pytest.mark.parametrize("case", cases(IMPORT_IMAGE), ids=str)
def test_a_download_that_is_converted_becomes_the_image_s_or_is_gone(world: ImageWorld, case: Case) -> None:
    image_id = world.inner.create(disk_format="vdi")["id"]
    web = world.kit.downloads
    assert isinstance(web, Web)
    web.data = a_vdi()[:4096]
    saga_id = world.begun(image_id, "web-download", uri="http://1.1.1.1/image")

    ended = prove(world, IMPORT_IMAGE, saga_id, case)

    assert ended == "done" or not must_be_taken(case)
    if ended == "done":
        assert holds(world, image_id, converted(web.data), "file")
        assert world.inner.shown(image_id)["disk_format"] == "raw"
    else:
        assert (world.inner.shown(image_id)["status"], world.inner.shown(image_id)["disk_format"]) == ("queued", "vdi")


@pytest.mark.parametrize("case", [one for one in cases(IMPORT_IMAGE) if one.step in OF_A_COPY], ids=str)
def test_a_copy_into_another_store_is_there_or_the_image_is_as_it_was(world: ImageWorld, case: Case) -> None:
    image_id = world.inner.active(DATA)["id"]
    saga_id = world.begun(image_id, "copy-image", stores=["second"])

    ended = prove(world, IMPORT_IMAGE, saga_id, case)

    assert ended == "done" or not must_be_taken(case)
    assert holds(world, image_id, DATA, "file,second" if ended == "done" else "file")
