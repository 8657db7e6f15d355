"""Hostile input: bodies (C8), names (C15), versions (C17), images that outgrow the flavor (I6)."""

from __future__ import annotations

import json
import resource
import time
from typing import Any
from uuid import UUID

import orjson
import pytest

from tests.unit.compute.api.world import World

GIB = 1 << 30

KEPT = ['<x/>"/><devices>', "%n%s", "{{7*7}}", "$(id)", "'; DROP TABLE servers; --", "naïve 雲", "🐧 cloud", "a\u00a0b"]
REFUSED = [
    "a\r\nb",
    "a\0b",
    "a\x1b[31m",
    "\u202eevil",
    "a\u2028b",
    "a\tb",
    " a",
    "a ",
    "   ",
    "",
    "\ud83d",
    "x" * 256,
    "x" * 900_000,
]


@pytest.mark.parametrize("name", KEPT)
def test_odd_names_are_data(world: World, name: str) -> None:
    server_id = world.server(world.at("2.90"), name=name, description=name, networks="none")

    shown = world.at("2.90").get(f"/v2.1/servers/{server_id}").json()["server"]

    assert (shown["name"], shown["description"]) == (name, name)
    hostname = world.row(server_id).hostname
    assert hostname and hostname.replace("-", "").isalnum() and hostname.isascii()


@pytest.mark.parametrize("name", REFUSED, ids=lambda name: repr(name)[:20])
def test_names_that_could_mislead_are_refused_and_nothing_is_left(world: World, name: str) -> None:
    body = orjson_or_json(world.order(name=name))

    answer = world.alice.post("/v2.1/servers", content=body, headers={"content-type": "application/json"})

    assert answer.status_code == 400
    assert len(answer.content) < 2_000
    assert world.alice.get("/v2.1/servers").json() == {"servers": []}


@pytest.mark.parametrize(
    "text", ["a\\u0000b", "\\ud83d", "\\udc00\\ud83d"], ids=["NUL", "half a pair", "turned around"]
)
@pytest.mark.parametrize(
    "order",
    [
        {"server": {"adminPass": "MARK"}},
        {"server": {"metadata": {"k": "MARK"}}},
        {"server": {"metadata": {"MARK": "v"}}},
        {"os:scheduler_hints": {"mine": ["MARK"]}},
    ],
)
def test_text_that_no_database_holds_is_refused_wherever_it_stands(
    world: World, order: dict[str, Any], text: str
) -> None:
    whole = world.order(**order.get("server", {})) | {key: order[key] for key in order if key != "server"}
    body = json.dumps(whole).replace("MARK", text)

    answer = world.alice.post("/v2.1/servers", content=body.encode(), headers={"content-type": "application/json"})

    assert answer.json() == {"badRequest": {"code": 400, "message": "Malformed request body"}}


def test_a_backslash_before_zeros_is_only_a_backslash(world: World) -> None:
    server_id = world.server(metadata={"k": "\\u0000"})

    assert world.row(server_id).attributes == {"k": "\\u0000"}


def orjson_or_json(body: Any) -> bytes:
    """A lone surrogate can be written in JSON, but not by every encoder."""
    try:
        return orjson.dumps(body)
    except TypeError:
        return json.dumps(body).encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"name": 1}, {"name": None}, {"name": ["x"]}, {"name": {"a": 1}}, {"flavorRef": None}, {"flavorRef": []},
        {"imageRef": 1}, {"imageRef": "../../etc/passwd"}, {"metadata": {"a": {"b": "c"}}}, {"networks": "some"},
        {"networks": [{"uuid": "x", "evil": 1}]}, {"min_count": 0}, {"min_count": -1}, {"min_count": "x"},
        {"min_count": 10**30}, {"max_count": 1.5}, {"config_drive": "perhaps"}, {"user_data": "not base64!"},
        {"user_data": "A" * 65_536}, {"nonsense": 1}, {"availability_zone": "a:b:c:d"}, {"security_groups": "default"},
        {"block_device_mapping_v2": [{"source_type": "volume", "uuid": "x", "destination_type": "volume"}]},
        {"block_device_mapping": [{"volume_id": "x"}]}, {"accessIPv4": "999.1.1.1"}, {"OS-DCF:diskConfig": "SOME"},
        {"personality": [{"path": "/etc/passwd", "contents": "%%%"}]}, {"adminPass": "x" * 256}, {"key_name": ""},
    ],
    ids=lambda changes: str(changes)[:40],
)  # fmt: skip
def test_malformed_orders_are_400_and_leave_nothing(world: World, changes: dict[str, Any]) -> None:
    answer = world.alice.post("/v2.1/servers", json=world.order(**changes))

    assert answer.status_code == 400, answer.text
    assert len(answer.content) < 4_000
    assert world.alice.get("/v2.1/servers").json() == {"servers": []}


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 500_000,
        b'{"a":' * 100_000,
        b'{"server": ' + b'{"x":' * 50_000 + b"1" + b"}" * 50_001,
        b'{"server": {"name": ' + b"9" * 500_000 + b"}}",
        b"\xff\xfe\x00",
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
    ],
    ids=["brackets", "objects", "closed objects", "digits", "no text", "xml"],
)
def test_bodies_made_to_hurt_are_refused_soon_and_cheaply(world: World, body: bytes) -> None:
    """C8."""
    world.alice.post("/v2.1/servers", content=b"{}")
    grown_from, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()

    answer = world.alice.post("/v2.1/servers", content=body, headers={"content-type": "application/json"})

    assert answer.status_code in (400, 413)
    assert time.process_time() - began < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - grown_from < 64 * 1024  # KiB


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        ({"size": 2 * GIB, "virtual_size": None}, "Flavor's disk is too small for requested image."),
        ({"size": 65_536, "virtual_size": 1 << 63}, "Flavor's disk is too small for requested image."),
        ({"size": 65_536, "virtual_size": GIB + 1}, "Flavor's disk is too small for requested image."),
        ({"min_disk": 2}, "Flavor's disk is smaller than the minimum size specified in image metadata."),
        ({"min_ram": 513}, "Flavor's memory is too small for requested image."),
        ({"status": "queued", "size": None, "os_hash_value": None}, "is not active."),
        ({"status": "deactivated"}, "is not active."),
        ({"disk_format": "vmdk"}, "is unacceptable"),
        ({"disk_format": "vmdk"}, "is unacceptable"),
        ({"disk_format": None, "os_hash_value": None}, "is unacceptable"),
    ],
    ids=lambda part: str(part)[:40],
)
def test_an_image_that_cannot_fit_is_refused_before_anything_is_written(
    world: World, image: dict[str, Any], sentence: str
) -> None:
    """I6."""
    found = world.gallery.add(**image)

    answer = world.alice.post("/v2.1/servers", json=world.order(imageRef=str(found.id)))

    assert answer.status_code == 400
    assert sentence in answer.json()["badRequest"]["message"]
    assert world.alice.get("/v2.1/servers").json() == {"servers": []}


def test_an_image_is_asked_for_with_the_callers_own_token(world: World) -> None:
    """Whose image it is, the image service decides: this one has no right of its own there."""
    world.server()

    assert world.gallery.tokens == [world.alice.headers["x-auth-token"]]


@pytest.mark.parametrize(
    "server_id", ["..%2f..%2fetc", "%00", "1 OR 1=1", "x" * 5000, "A0E4475E22FB4D30ADD2BBB808CF797A"]
)
def test_ids_that_are_none_are_not_found(world: World, server_id: str) -> None:
    answer = world.alice.get(f"/v2.1/servers/{server_id}")

    assert answer.status_code in (400, 404)
    assert "Traceback" not in answer.text


def test_an_upper_case_id_finds_the_same_server(world: World) -> None:
    server_id = world.server()

    assert world.alice.get(f"/v2.1/servers/{server_id.upper()}").json()["server"]["id"] == server_id
    assert UUID(server_id)
