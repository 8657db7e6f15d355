"""Images in a real S3 server: chosen per image, copied between stores, and what happens when the server is gone (I19)."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from common.errors import InvalidInput, PlatformError
from services.image.api.caching import tend
from services.image.api.receiving import begin, sweep
from services.image.core.images import Gone
from services.image.db.living import Living
from services.image.db.uploads import Uploads
from services.image.drivers.inspect.inspector import Inspector
from services.image.drivers.store.s3 import S3Store
from services.image.settings import ImageSettings, S3Place
from tests.conftest import ROOT
from tests.contract.image.conftest import Bucket
from tests.harness.object_storage import ObjectStorage, object_storage
from tests.harness.waiting import until
from tests.unit.image.world import ALICE, World, a_token, a_world

DATA = os.urandom(100_000)
MIB = 1 << 20


@pytest.fixture
def world(tmp_path: Path, inspector: Inspector, bucket: Bucket) -> Iterator[World]:
    """Stores: file, far."""
    with a_world(tmp_path, inspector, s3_stores={"far": bucket.described()}) as made:
        yield made


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Bucket]:
    """A server that the test may end."""
    with object_storage(tmp_path / "s3") as storage:
        yield Bucket(storage, storage.bucket())


def downloaded(world: World, image_id: str, **headers: str) -> bytes:
    answer = world.alice.get(f"/v2/images/{image_id}/file", headers=headers)
    assert answer.status_code in (200, 206), answer.text
    return answer.content


def tells_nothing_of(bucket: Bucket, *texts: str) -> bool:
    secrets = (bucket.storage.secret_key, bucket.storage.access_key, bucket.name, f":{bucket.storage.port}")
    return not [one for one in secrets for text in texts if one in text]


def test_an_image_goes_to_the_store_that_its_upload_names(world: World, bucket: Bucket) -> None:
    image_id = world.create()["id"]

    answer = world.upload(image_id, DATA, x_image_meta_store="far")
    image = world.shown(image_id)

    assert answer.status_code == 204
    assert (image["status"], image["stores"]) == ("active", "far")
    assert image["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
    assert downloaded(world, image_id) == DATA
    assert downloaded(world, image_id, range="bytes=500-999") == DATA[500:1000]
    assert world.files() == []
    assert len(bucket.names()) == 1
    assert world.alice.delete(f"/v2/images/{image_id}").status_code == 204
    assert bucket.names() == []


def test_far_bytes_can_be_where_images_go_that_ask_for_nothing(
    tmp_path: Path, inspector: Inspector, bucket: Bucket
) -> None:
    with a_world(tmp_path, inspector, s3_stores={"far": bucket.described()}, default_store="far") as world:
        image = world.active(DATA)
        staged = world.create()["id"]
        world.stage(staged, DATA)
        imported = world.imported(staged)

        stores = world.alice.get("/v2/info/stores").json()["stores"]
        assert (image["stores"], imported["stores"]) == ("far", "far")
        assert {"id": "far", "default": "true"} in stores
        assert downloaded(world, staged) == DATA
        assert world.files() == []


def test_stores_tell_administrators_their_kind_and_nothing_of_their_place(world: World, bucket: Bucket) -> None:
    answer = world.admin.get("/v2/info/stores/detail")

    assert {one["id"]: one["type"] for one in answer.json()["stores"]} == {"file": "file", "far": "s3"}
    assert tells_nothing_of(bucket, answer.text, world.alice.get("/v2/info/stores").text)


@pytest.mark.parametrize("stores", [["far"], ["file", "far"], ["far", "file"]])
def test_an_import_puts_bytes_into_every_store_it_names(world: World, stores: list[str]) -> None:
    image_id = world.create()["id"]
    world.stage(image_id, DATA)

    image = world.imported(image_id, stores=stores)

    assert (image["status"], image["stores"]) == ("active", ",".join(sorted(stores)))
    assert downloaded(world, image_id) == DATA
    assert world.files() == ([image_id] if "file" in stores else [])


@pytest.mark.parametrize(("start", "onwards"), [("file", "far"), ("far", "file")])
def test_images_are_copied_between_stores_both_ways(world: World, bucket: Bucket, start: str, onwards: str) -> None:
    image_id = world.create()["id"]
    world.upload(image_id, DATA, x_image_meta_store=start)

    image = world.imported(image_id, "copy-image", stores=[onwards], person=world.admin)
    left = world.admin.delete(f"/v2/stores/{start}/{image_id}")

    assert (image["stores"], left.status_code) == ("far,file", 204)
    assert world.shown(image_id)["stores"] == onwards
    assert downloaded(world, image_id) == DATA
    assert (len(world.files()), len(bucket.names())) == ((1, 0) if onwards == "file" else (0, 1))


def test_only_services_are_told_where_bytes_lie(world: World, bucket: Bucket) -> None:
    image_id = world.create()["id"]
    world.upload(image_id, DATA, x_image_meta_store="far")
    service = world.person("service-project", "service")

    places = service.get(f"/v2/images/{image_id}/locations").json()

    assert places[0]["url"].startswith(f"s3://{bucket.name}/")
    assert world.alice.get(f"/v2/images/{image_id}/locations").status_code == 403
    assert tells_nothing_of(bucket, world.alice.get(f"/v2/images/{image_id}").text)


WRONG: dict[str, dict[str, Any]] = {
    "keys wrong": {"secret_key": "not the key"},
    "user unknown": {"access_key": "nobody:here"},
    "bucket gone": {"bucket": "no-such-bucket"},
    "server gone": {"endpoint_url": "http://127.0.0.1:9"},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_i19_a_store_that_fails_is_told_plainly_without_address_or_key(
    tmp_path: Path, inspector: Inspector, bucket: Bucket, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    described = bucket.described() | WRONG[wrong]
    with a_world(tmp_path, inspector, s3_stores={"far": described}) as world:
        image_id = world.create()["id"]

        answer = world.upload(image_id, DATA, x_image_meta_store="far")
        sweep(world.kit)
        ready = world.app.state.kit.stores

        assert answer.status_code == 503
        assert answer.json()["message"].startswith("The image store does not work")
        assert (world.shown(image_id)["status"], world.files()) == ("queued", [])
        for word in ("not the key", "nobody:here", "no-such-bucket", "127.0.0.1:9"):
            assert word not in answer.text and word not in caplog.text
        assert tells_nothing_of(bucket, answer.text, caplog.text)
        with pytest.raises(Exception, match="No answer from far"):
            ready.complain()
        assert world.upload(image_id, DATA).status_code == 204


def test_i19_an_import_into_a_store_that_is_gone_says_so_and_leaves_nothing(
    tmp_path: Path, inspector: Inspector, alone: Bucket
) -> None:
    with a_world(tmp_path, inspector, s3_stores={"far": alone.described()}) as world:
        must, may = (world.create()["id"] for _ in range(2))
        world.stage(must, DATA)
        world.stage(may, DATA)
        alone.storage.stop()

        refused = world.imported(must, stores=["file", "far"])
        taken = world.imported(may, stores=["file", "far"], all_stores_must_succeed=False)
        [task] = world.alice.get(f"/v2/images/{must}/tasks").json()["tasks"]

        assert (refused["status"], task["status"]) == ("queued", "failure")
        assert "Store far did not take the image" in task["message"]
        assert tells_nothing_of(alone, task["message"])
        assert (taken["status"], taken["stores"], taken["os_glance_failed_import"]) == ("active", "file", "far")
        assert world.files() == [may]


def test_an_image_is_deleted_although_its_store_is_gone_and_swept_when_it_is_back(
    tmp_path: Path, inspector: Inspector, alone: Bucket
) -> None:
    described = alone.described() | {"sweep_every_s": 0}
    with a_world(tmp_path, inspector, s3_stores={"far": described}, upload_patience_s=0.001) as world:
        image_id = world.create()["id"]
        world.upload(image_id, DATA, x_image_meta_store="far")
        alone.storage.stop()

        download = world.alice.get(f"/v2/images/{image_id}/file")
        deleted = world.alice.delete(f"/v2/images/{image_id}")
        alone.storage.start()
        left = alone.names()
        sweep(world.kit)

        assert (download.status_code, deleted.status_code) == (503, 204)
        assert tells_nothing_of(alone, download.text)
        assert (len(left), alone.names()) == (1, [])


def test_a_download_goes_on_after_the_server_was_away(tmp_path: Path, alone: Bucket) -> None:
    source, image_id = tmp_path / "source", uuid4()
    source.write_bytes(os.urandom(20 * MIB))
    store = S3Store(alone.place(part_mib=5), prefix="cloud/")
    store.bring(source, image_id, uuid4(), given=False, heard=lambda: None)()

    reading = store.open(image_id, 0, 20 * MIB)
    got = reading.piece(MIB)
    alone.storage.stop()
    alone.storage.start()
    while len(got) < 20 * MIB:
        got += reading.piece(MIB)
    reading.close()

    assert got == source.read_bytes()


STREAM = """
import sys
from contextlib import closing
from pathlib import Path
from uuid import uuid4
from services.image.drivers.store.s3 import S3Store
from services.image.settings import S3Place

file, size = Path(sys.argv[1]), int(sys.argv[2])
store, image_id = S3Store(S3Place.model_validate_json(sys.stdin.read()), prefix="x/"), uuid4()
store.bring(file, image_id, uuid4(), given=False, heard=lambda: None)()
with closing(store.open(image_id, 0, size)) as reading:
    left = size
    while left:
        left -= len(reading.piece(1 << 20))
[most] = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(int(most) >> 10)
"""


def test_no_transaction_waits_for_the_server(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite has one writer: were it this upload, nobody could create an image meanwhile."""
    meanwhile: list[dict[str, Any]] = []
    complete = S3Store._complete

    def slowly(store: S3Store, *arguments: Any) -> None:
        with ThreadPoolExecutor(1) as other:
            meanwhile.append(other.submit(world.create).result(timeout=60))
        complete(store, *arguments)

    monkeypatch.setattr(S3Store, "_complete", slowly)
    image_id = world.create()["id"]

    assert world.upload(image_id, DATA, x_image_meta_store="far").status_code == 204
    assert (len(meanwhile), downloaded(world, image_id)) == (1, DATA)


def test_an_upload_that_cannot_be_noted_leaves_nothing_in_the_bucket(
    world: World, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = world.create()["id"]
    monkeypatch.setattr(Uploads, "finish", lambda *_: (_ for _ in ()).throw(Gone("given up")))

    refused = world.upload(image_id, DATA, x_image_meta_store="far")

    assert refused.status_code >= 400
    assert (bucket.names(), world.files(), world.shown(image_id)["status"]) == ([], [], "queued")


def test_bytes_whose_process_died_before_the_image_had_them_are_swept_once_nobody_brings_any(
    tmp_path: Path, inspector: Inspector, bucket: Bucket
) -> None:
    described = bucket.described() | {"sweep_every_s": 0}
    with a_world(tmp_path, inspector, s3_stores={"far": described}, upload_patience_s=1) as world:
        image_id = UUID(world.create()["id"])
        caller = world.app.state.verifier.verify(a_token(ALICE))
        receiving = begin(world.kit, image_id, caller, store="far")
        source = tmp_path / "source"
        source.write_bytes(DATA)
        world.kit.stores["far"].bring(source, image_id, receiving.upload_id, given=False, heard=lambda: None)()
        left = bucket.names()

        def swept() -> bool:
            sweep(world.kit)
            return bucket.names() == []

        until(swept, what="the removal of what nobody has")
        assert len(left) == 1
        assert world.shown(str(image_id))["status"] == "queued"
        assert world.upload(str(image_id), DATA, x_image_meta_store="far").status_code == 204


def test_the_sweep_spares_bytes_that_an_upload_is_about_to_have(world: World, bucket: Bucket, tmp_path: Path) -> None:
    image_id = UUID(world.create()["id"])
    receiving = begin(world.kit, image_id, world.app.state.verifier.verify(a_token(ALICE)), store="far")
    source = tmp_path / "source"
    source.write_bytes(DATA)
    store = S3Store(bucket.place(sweep_every_s=0), prefix=world.kit.stores["far"]._prefix)  # type: ignore[attr-defined]

    store.bring(source, image_id, receiving.upload_id, given=False, heard=lambda: None)()
    removed = store.sweep(Living(world.kit.database, "far"), older_than_s=0)

    assert (removed, store.holds(image_id)) == (0, True)


def test_a_process_that_hung_does_not_replace_the_bytes_that_came_after_its_own(tmp_path: Path, bucket: Bucket) -> None:
    image_id, store = uuid4(), S3Store(bucket.place(), prefix="cloud/")
    late, source = tmp_path / "late", tmp_path / "source"
    late.write_bytes(b"late")
    source.write_bytes(b"true")
    keep_late = store.bring(late, image_id, uuid4(), given=False, heard=lambda: None)

    store.bring(source, image_id, uuid4(), given=False, heard=lambda: None)()
    with pytest.raises(PlatformError):
        keep_late()

    with closing(store.open(image_id, 0, 4)) as reading:
        assert reading.piece(4) == b"true"
    assert len(bucket.names()) == 1


def test_a_process_that_hung_and_wakes_leaves_alone_what_is_being_brought_after_it(
    tmp_path: Path, bucket: Bucket
) -> None:
    image_id, store = uuid4(), S3Store(bucket.place(), prefix="cloud/")
    late, source = tmp_path / "late", tmp_path / "source"
    late.write_bytes(b"late")
    source.write_bytes(b"true")

    keep_late, begun = store.bring(late, image_id, uuid4(), given=False, heard=lambda: None), time.time()
    until(lambda: time.time() > begun + 1, what="another second: this server tells no less")
    keep = store.bring(source, image_id, uuid4(), given=False, heard=lambda: None)
    keep_late()
    keep()

    with closing(store.open(image_id, 0, 4)) as reading:
        assert reading.piece(4) == b"true"
    assert len(bucket.names()) == 1


def test_memory_stays_small_however_large_the_image(tmp_path: Path, bucket: Bucket) -> None:
    file, size = tmp_path / "large", 160 * MIB
    with file.open("wb") as sparse:
        sparse.truncate(size)
    place = S3Place.model_validate(bucket.described())
    given = place.model_dump_json().replace('"**********"', "%s") % tuple(
        f'"{one}"' for one in (bucket.storage.access_key, bucket.storage.secret_key)
    )

    done = subprocess.run(
        [sys.executable, "-c", STREAM, str(file), str(size)],
        input=given,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 100


def test_keys_come_from_a_file_and_are_never_told(tmp_path: Path, s3: ObjectStorage) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"[default]\naws_access_key_id = {s3.access_key}\naws_secret_access_key = {s3.secret_key}\n")
    place = S3Place(endpoint_url=s3.url, bucket=s3.bucket(), keys_file=keys)

    S3Store(place, prefix="").probe()

    assert place.keys() == (s3.access_key, s3.secret_key)
    given = S3Place(bucket="b", access_key="an access key", secret_key="a secret")
    assert "an access key" not in repr(given) and "a secret" not in repr(given)


@pytest.mark.parametrize("text", ["", "[default]\naws_access_key_id = only-this-secret\n", "nonsense-secret"])
def test_a_keys_file_without_keys_is_told_by_its_name_alone(tmp_path: Path, text: str) -> None:
    keys = tmp_path / "keys"
    keys.write_text(text)

    with pytest.raises(InvalidInput) as told:
        S3Place(bucket="b", keys_file=keys).keys()

    assert "keys" in str(told.value) and "secret" not in str(told.value)


def test_a_store_without_keys_is_refused_at_the_start_without_its_secret(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as told:
        ImageSettings.read(
            None,
            database_url="sqlite://",
            store=tmp_path,
            service_password="not used",
            s3_stores={"far": {"bucket": "b", "secret_key": "a secret"}},
        )

    assert "keys_file" in str(told.value) and "a secret" not in str(told.value)


def test_a_download_from_afar_brings_the_image_into_the_cache_and_the_next_reads_it_there(
    world: World, bucket: Bucket
) -> None:
    image_id = world.create()["id"]
    world.upload(image_id, DATA, x_image_meta_store="far")

    first = downloaded(world, image_id)
    tend(world.kit)
    client = bucket.storage.client()
    client.delete_object(Bucket=bucket.name, Key=bucket.names()[0])  # only the cache can have it now
    client.close()
    second = downloaded(world, image_id)

    [entry] = world.admin.get("/v2/cache").json()["cached_images"]
    assert (first, second) == (DATA, DATA)
    assert (entry["image_id"], entry["hits"], entry["size"]) == (image_id, 1, len(DATA))


def test_other_bytes_than_the_image_s_never_get_into_the_cache(world: World, bucket: Bucket) -> None:
    image_id = world.create()["id"]
    world.upload(image_id, DATA, x_image_meta_store="far")
    client = bucket.storage.client()
    client.put_object(Bucket=bucket.name, Key=bucket.names()[0], Body=bytes(len(DATA)))
    client.close()

    world.admin.put(f"/v2/cache/{image_id}")
    tend(world.kit)

    assert world.admin.get("/v2/cache").json() == {"cached_images": [], "queued_images": []}
    assert world.files() == []


def test_an_image_waits_for_the_cache_while_its_store_is_gone(
    tmp_path: Path, inspector: Inspector, alone: Bucket
) -> None:
    with a_world(tmp_path, inspector, s3_stores={"far": alone.described()}) as world:
        image_id = world.create()["id"]
        world.upload(image_id, DATA, x_image_meta_store="far")
        world.admin.put(f"/v2/cache/{image_id}")
        alone.storage.stop()

        tend(world.kit)
        waiting = world.admin.get("/v2/cache").json()["queued_images"]
        alone.storage.start()
        tend(world.kit)

        assert waiting == [image_id]
        assert world.admin.get("/v2/cache").json()["queued_images"] == []
        assert [one.rpartition("/")[2] for one in world.files()] == [image_id]
