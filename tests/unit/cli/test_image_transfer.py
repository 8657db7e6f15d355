"""Bytes of images between files and the cloud."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest
from starlette.types import Receive, Scope, Send

from cli.cloud_client import CloudClient
from cli.image_transfer import TRIES, Download
from cli.images import command
from common.errors import Conflict, InvalidInput, NotFound, PlatformError, Unavailable
from common.http.client import ServiceClient
from services.image.api.resuming import begin_part
from services.image.core.ranges import Part
from services.image.drivers.inspect.inspector import Inspector
from tests.unit.image.world import World, a_token, a_world


def test_a_download_into_a_directory_that_is_not_there_is_refused_in_a_sentence(tmp_path: Path) -> None:
    cloud = CloudClient("http://nobody", ServiceClient("http://nobody"), "token")

    with pytest.raises(InvalidInput, match=f"There is no directory {tmp_path}/absent"):
        Download(cloud, "an image", tmp_path / "absent" / "file").run()


@pytest.fixture
def inspector() -> Iterator[Inspector]:
    with closing(Inspector(idle_s=60)) as made:
        yield made


@pytest.fixture
def world(tmp_path: Path, inspector: Inspector) -> Iterator[World]:
    with a_world(tmp_path, inspector) as made:
        yield made


@pytest.fixture
def cloud(world: World) -> Iterator[CloudClient]:
    """Its only service is that of images."""

    async def without_prefix(scope: Scope, receive: Receive, send: Send) -> None:
        await world.app({**scope, "path": scope["path"].removeprefix("/image")}, receive, send)

    world.inside.add("cloud", without_prefix)
    with closing(ServiceClient("http://cloud", inside=world.inside)) as http:
        yield CloudClient("http://cloud", http, a_token())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "image.raw"
    made.write_bytes(b"some bytes")
    return made


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, cloud: CloudClient, tmp_path: Path) -> Callable[..., None]:
    """`pileus image …` towards that cloud."""
    monkeypatch.setattr("cli.cloud_client.log_in", lambda *_: cloud)
    monkeypatch.setattr("cli.places.Places.existing", lambda *_: None)
    monkeypatch.setattr("cli.image_transfer.PAUSE_S", 0)

    def run(*words: object) -> None:
        command.main([str(word) for word in words], standalone_mode=False)

    return run


def test_a_refusal_is_told_at_once_and_the_image_made_for_it_is_removed(
    world: World, asked: Callable[..., None], file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Conflict, match="Store for identifier nowhere not found"):
        asked("upload", "--disk-format", "raw", "--store", "nowhere", file)
    with pytest.raises(PlatformError, match="qcow2"):
        asked("upload", "--disk-format", "qcow2", file)

    assert world.alice.get("/v2/images").json()["images"] == []
    assert "trying again" not in capsys.readouterr().out


def test_an_image_that_was_there_before_is_kept_whatever_is_refused(
    world: World, asked: Callable[..., None], file: Path
) -> None:
    image = world.active()

    with pytest.raises(Conflict, match="active"):
        asked("upload", "--resume", image["id"], file)

    assert world.shown(image["id"]) == image


def test_an_upload_waits_for_a_range_that_may_be_over_soon_and_says_how_to_go_on(
    world: World, asked: Callable[..., None], file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image_id = UUID(world.create()["id"])
    caller = world.app.state.verifier.verify(a_token())
    part = Part.read(f"bytes 0-9/{file.stat().st_size}", 10)
    begin_part(world.kit, image_id, caller, part, store="file")

    with pytest.raises(Unavailable, match=f"Go on later: pileus image upload --resume {image_id}"):
        asked("upload", "--resume", image_id, file)

    assert capsys.readouterr().out.count("trying again") == TRIES - 1
    assert world.shown(str(image_id))["status"] == "saving"


@pytest.mark.parametrize("name", ["plain", "in:a,b", "a/b?c&d", "☃"])
def test_an_image_is_downloaded_by_its_name(
    world: World, asked: Callable[..., None], tmp_path: Path, name: str
) -> None:
    world.active(b"these bytes", name=name)
    world.active(b"others", name="other")

    asked("download", name, tmp_path / "back")

    assert (tmp_path / "back").read_bytes() == b"these bytes"


def test_a_name_that_none_or_several_have_is_told(world: World, asked: Callable[..., None], tmp_path: Path) -> None:
    ids = [world.active(name="twin")["id"] for _ in range(2)]

    with pytest.raises(NotFound, match="There is no image 'nobody'"):
        asked("download", "nobody", tmp_path / "back")
    with pytest.raises(InvalidInput) as several:
        asked("download", "twin", tmp_path / "back")

    assert all(one in several.value.message for one in ids)
