"""Bodies hold exactly the keys of their microversion: one key too many breaks clients that validate."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any

import pytest

from services.compute.api import schemas, versions
from services.compute.api.history import HISTORY
from services.compute.api.microversions import NEWEST, OLDEST
from services.compute.api.queries import EVERYWHERE, KNOWN
from services.compute.api.schemas.parts import Part
from tests.unit.compute.api.world import World

pytestmark = pytest.mark.slow

# noun -> (since, keys that came, keys that went), oldest first.  Source: Compute API guide, "Microversion history".
Changes = list[tuple[int, set[str], set[str]]]

SERVER: Changes = [
    (
        1,
        {
            "id", "name", "status", "tenant_id", "user_id", "metadata", "hostId", "image", "flavor", "created", "updated",
            "addresses", "accessIPv4", "accessIPv6", "links", "OS-DCF:diskConfig", "progress", "OS-EXT-AZ:availability_zone",
            "config_drive", "key_name", "OS-SRV-USG:launched_at", "OS-SRV-USG:terminated_at", "OS-EXT-STS:task_state",
            "OS-EXT-STS:vm_state", "OS-EXT-STS:power_state", "os-extended-volumes:volumes_attached",
        },
        set(),
    ),
    (9, {"locked"}, set()),
    (19, {"description"}, set()),
    (26, {"tags"}, set()),
    (63, {"trusted_image_certificates"}, set()),
    (73, {"locked_reason"}, set()),
    (90, {"OS-EXT-SRV-ATTR:hostname"}, set()),
    (96, {"pinned_availability_zone"}, set()),
    (100, {"scheduler_hints"}, set()),
]  # fmt: skip
ADMINS: Changes = [
    (
        1,
        {"OS-EXT-SRV-ATTR:host", "OS-EXT-SRV-ATTR:instance_name", "OS-EXT-SRV-ATTR:hypervisor_hostname"},
        set(),
    ),
    (
        3,
        {
            "OS-EXT-SRV-ATTR:hostname", "OS-EXT-SRV-ATTR:kernel_id", "OS-EXT-SRV-ATTR:launch_index",
            "OS-EXT-SRV-ATTR:ramdisk_id", "OS-EXT-SRV-ATTR:reservation_id", "OS-EXT-SRV-ATTR:root_device_name",
            "OS-EXT-SRV-ATTR:user_data",
        },
        set(),
    ),
    (16, {"host_status"}, set()),
]  # fmt: skip
FLAVOR: Changes = [
    (
        1,
        {
            "id", "name", "links", "ram", "disk", "swap", "vcpus", "OS-FLV-EXT-DATA:ephemeral", "OS-FLV-DISABLED:disabled",
            "os-flavor-access:is_public", "rxtx_factor",
        },
        set(),
    ),
    (55, {"description"}, set()),
    (61, {"extra_specs"}, set()),
    (102, set(), {"rxtx_factor", "OS-FLV-DISABLED:disabled"}),
]  # fmt: skip
KEYPAIR: Changes = [
    (
        1,
        {
            "id", "name", "public_key", "fingerprint", "user_id", "created_at", "updated_at", "deleted", "deleted_at",
        },
        set(),
    ),
    (2, {"type"}, set()),
]  # fmt: skip
COUNTS = {
    "current_workload", "cpu_info", "vcpus", "vcpus_used", "free_disk_gb", "local_gb", "local_gb_used",
    "disk_available_least", "free_ram_mb", "memory_mb", "memory_mb_used", "running_vms",
}  # fmt: skip
HYPERVISOR: Changes = [
    (
        1,
        {
            "id", "hypervisor_hostname", "state", "status", "hypervisor_type", "hypervisor_version", "host_ip", "service",
        } | COUNTS,
        set(),
    ),
    (88, {"uptime"}, COUNTS),
]  # fmt: skip
SERVICE: Changes = [
    (1, {"id", "binary", "host", "zone", "status", "state", "updated_at", "disabled_reason"}, set()),
    (11, {"forced_down"}, set()),
]
ACTION: Changes = [
    (1, {"action", "instance_uuid", "request_id", "user_id", "project_id", "start_time", "message"}, set()),
    (51, {"events"}, set()),
    (58, {"updated_at"}, set()),
]
VERSIONS = sorted({1, 2, 36, 37, 53, NEWEST} | {
    near
    for table in (SERVER, ADMINS, FLAVOR, KEYPAIR, HYPERVISOR, SERVICE, ACTION)
    for since, _, _ in table
    for near in (max(since - 1, 1), since)
})  # fmt: skip


def test_the_history_tells_of_every_version_once_and_in_order() -> None:
    assert list(HISTORY) == list(range(OLDEST, NEWEST + 1))
    assert all(change.what and change.here for change in HISTORY.values())
    assert len({change.what for change in HISTORY.values()}) == len(HISTORY)


def test_the_history_denies_no_version_that_changes_an_answer_or_a_parameter() -> None:
    shapes = [one for one in vars(versions).values() if isinstance(one, versions.Shape)]
    came = {since for shape in shapes for since in shape.since.values()}
    went = {until + 1 for shape in shapes for until in shape.until.values() if until}
    changed = {below for shape in shapes for below, _ in shape.changes}
    asked = {since for known in KNOWN.values() for since in (*known.names.values(), known.strict_since)}

    seen = came | went | changed | asked | {EVERYWHERE}

    assert {minor for minor in seen if not HISTORY[minor].is_here} == set()


def test_the_history_says_what_becomes_of_each_field_that_came_or_went() -> None:
    for module in pkgutil.iter_modules(schemas.__path__):
        importlib.import_module(f"{schemas.__name__}.{module.name}")
    parts = [part for part in Part.__subclasses__() if part.__module__.startswith(schemas.__name__)]

    touched = {minor for part in parts for minor in part.since.values()}
    touched |= {minor + 1 for part in parts for minor in part.until.values()}

    assert len(touched) > 20
    told = {minor: HISTORY[minor] for minor in touched if not HISTORY[minor].is_here}
    assert {minor for minor, change in told.items() if "the body is checked" not in change.here} == set()


def keys_at(version: int, *tables: Changes) -> set[str]:
    keys: set[str] = set()
    for table in tables:
        for since, came, went in table:
            if since <= version:
                keys = (keys | came) - went
    return keys


@pytest.mark.parametrize("version", VERSIONS)
def test_answers_hold_the_keys_of_their_version(world: World, version: int) -> None:
    world.host()
    server_id = world.active_server()
    world.alice.post("/v2.1/os-keypairs", json={"keypair": {"name": "mine"}})
    member, admin = world.at(f"2.{version}"), world.admin(f"2.{version}")

    found: Mapping[str, Any] = {
        "server": member.get("/v2.1/servers/detail").json()["servers"][0],
        "admin's server": admin.get("/v2.1/servers/detail").json()["servers"][0],
        "flavor": member.get("/v2.1/flavors/1").json()["flavor"],
        "keypair": member.get("/v2.1/os-keypairs/mine").json()["keypair"],
        "hypervisor": admin.get("/v2.1/os-hypervisors/detail").json()["hypervisors"][0],
        "service": admin.get("/v2.1/os-services").json()["services"][0],
        "action": _action(member, server_id),
    }

    assert {noun: set(body) for noun, body in found.items()} == {
        "server": keys_at(version, SERVER),
        "admin's server": keys_at(version, SERVER, ADMINS),
        "flavor": keys_at(version, FLAVOR),
        "keypair": keys_at(version, KEYPAIR),
        "hypervisor": keys_at(version, HYPERVISOR),
        "service": keys_at(version, SERVICE),
        "action": keys_at(version, ACTION),
    }
    assert isinstance(found["hypervisor"]["id"], str if version >= 53 else int)
    assert isinstance(found["service"]["id"], str if version >= 53 else int)
    assert ("original_name" in found["server"]["flavor"]) is (version >= 47)
    assert ("properties" in found["server"]["image"]) is (version >= 98)


def _action(client: Any, server_id: str) -> Any:
    path = f"/v2.1/servers/{server_id}/os-instance-actions"
    request_id = client.get(path).json()["instanceActions"][0]["request_id"]
    return client.get(f"{path}/{request_id}").json()["instanceAction"]


@pytest.mark.parametrize(("version", "has_groups"), [("2.70", False), ("2.71", True)])
def test_one_server_names_its_groups_and_a_list_does_not(world: World, version: str, has_groups: bool) -> None:
    server_id = world.server()

    shown = world.at(version).get(f"/v2.1/servers/{server_id}").json()["server"]
    listed = world.at(version).get("/v2.1/servers/detail").json()["servers"][0]

    assert ("server_groups" in shown, "server_groups" in listed) == (has_groups, False)


@pytest.mark.parametrize(
    ("field", "value", "since"),
    [
        ("description", "mine", 19),
        ("tags", ["blue"], 52),
        ("hostname", "one", 90),
        ("trusted_image_certificates", [], 63),
    ],
)
def test_a_field_of_a_later_version_is_refused_like_an_unknown_one(
    world: World, field: str, value: Any, since: int
) -> None:
    networks = {"networks": "none"} if since > 37 else {}

    before = world.at(f"2.{since - 1}").post("/v2.1/servers", json=world.order(**networks, **{field: value}))
    then = world.at(f"2.{since}").post("/v2.1/servers", json=world.order(**networks, **{field: value}))

    assert before.status_code == 400
    assert before.json()["badRequest"]["message"].endswith(
        f"Additional properties are not allowed ('{field}' was unexpected)"
    )
    assert then.status_code == 202


def test_networks_must_be_named_since_2_37(world: World) -> None:
    order = world.order()

    answer = world.at("2.37").post("/v2.1/servers", json=order)

    assert answer.json()["badRequest"]["message"] == (
        f"Invalid input for field/attribute server. Value: {order['server']}. 'networks' is a required property"
    )


@pytest.mark.parametrize(
    ("method", "path", "versions"),
    [
        ("GET", "/servers/{server}/tags", (26, NEWEST)),
        ("PUT", "/flavors/1", (55, NEWEST)),
        ("GET", "/os-hypervisors/statistics", (1, 87)),
        ("GET", "/os-hypervisors/one/search", (1, 52)),
    ],
)
def test_a_path_exists_only_in_its_versions(world: World, method: str, path: str, versions: tuple[int, int]) -> None:
    world.host()
    address = "/v2.1" + path.format(server=world.server())
    body = {"flavor": {"description": "d"}} if method == "PUT" else None

    inside = [world.admin(f"2.{one}").request(method, address, json=body).status_code for one in versions]
    outside = [
        world.admin(f"2.{one}").request(method, address, json=body)
        for one in (versions[0] - 1, versions[1] + 1)
        if 1 <= one <= NEWEST
    ]

    assert inside == [200, 200]
    assert [(one.status_code, one.json()) for one in outside] == [
        (404, {"itemNotFound": {"code": 404, "message": "The resource could not be found."}})
    ] * len(outside)
