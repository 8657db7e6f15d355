"""Bodies that services take, and what becomes of them when each part in turn is replaced by something odd."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.security.platform.routes import Route

NESTED: list[Any] = []
for _ in range(60):
    NESTED = [NESTED]

ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 2**70, "", " ", "-1", "x" * 70_000, "a\0b", "a\r\nb: c", "\ud800", "\u202e\U0001f600",
    "' OR 1=1 --", "%n%s{{7*7}}$(id)", [], {}, [None], {"": None}, {"a": {"a": "b"}}, NESTED,
)  # fmt: skip

MALFORMED: tuple[bytes, ...] = (
    b"", b"{", b"[]", b"[1]", b"null", b"true", b"7", b'"text"', b"{}", b'{"a": 1}', b"\xff\xfe{}", b'{"a": NaN}',
    b'{"a": 1e400}', b'{"a": 1, "a": 2}', b"[" * 5000, b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM "
    b"'file:///etc/passwd'>]><a>&b;</a>", b"!!python/object/apply:os.system ['id']", b"x" * 200_000,
)  # fmt: skip

_USER = {"name": "nobody", "domain": {"id": "default"}, "password": "wrong"}
_SCOPE = {"project": {"name": "nothing", "domain": {"id": "default"}}}
_AUTH = {"identity": {"methods": ["password", "token"], "password": {"user": _USER}, "token": {"id": "x"}}}
_ID = "0a1b2c3d-0000-4000-8000-000000000000"

# fmt: off
PLAUSIBLE: Mapping[tuple[str, str], Any] = {  # what a well-behaved client would send there
    ("POST", "/v3/auth/tokens"):  {"auth": _AUTH | {"scope": _SCOPE}},
    ("POST", "/v3/projects"):     {"project": {"name": "p", "description": "d", "domain_id": "default", "enabled": True,
                                               "parent_id": "default", "tags": ["t"], "options": {}, "is_domain": False}},
    ("POST", "/v3/users"):        {"user": {"name": "u", "password": "p", "domain_id": "default", "enabled": True,
                                            "email": "e", "default_project_id": None, "options": {}}},
    ("POST", "/v2/images"):       {"name": "i", "disk_format": "raw", "container_format": "bare", "id": _ID, "tags": [],
                                   "visibility": "private", "min_disk": 0, "min_ram": 0, "protected": False, "own": "x"},
    ("PATCH", "/v2/images/{image_id}"): [{"op": "replace", "path": "/name", "value": "n"}],
    ("PATCH", "/v3/credentials/{credential_id}"): {"credential": {"blob": "b"}},
    ("POST", "/v3/users/{user_id}/password"): {"user": {"password": "new", "original_password": "old"}},
    ("POST", "/v2/images/{image_id}/import"): {"method": {"name": "glance-direct"}},
    ("PUT", "/v2/images/{image_id}/members/{member_id}"): {"status": "accepted"},
    ("POST", "/v2.1/servers"):    {"server": {"name": "s", "imageRef": _ID, "flavorRef": "1", "networks": [{"uuid": _ID}],
                                              "metadata": {"k": "v"}, "tags": ["t"], "user_data": "aGk=", "key_name": "k",
                                              "min_count": 1, "max_count": 1, "adminPass": "p", "config_drive": True,
                                              "availability_zone": "nova:h", "description": "d", "hostname": "host",
                                              "security_groups": [{"name": "default"}], "personality": [],
                                              "accessIPv4": "10.0.0.1", "accessIPv6": "::1", "host": "h",
                                              "hypervisor_hostname": "h", "OS-DCF:diskConfig": "AUTO",
                                              "block_device_mapping_v2": [{"uuid": _ID, "source_type": "image",
                                                                           "destination_type": "local", "boot_index": 0,
                                                                           "delete_on_termination": True}],
                                              "trusted_image_certificates": ["c"]},
                                   "os:scheduler_hints": {"group": _ID, "query": "[]", "same_host": [_ID]}},
    ("PUT", "/v2.1/servers/{server_id}"): {"server": {"name": "n", "accessIPv4": "10.0.0.1", "accessIPv6": "::1",
                                                      "description": "d", "hostname": "host", "OS-DCF:diskConfig": "AUTO"}},
    ("POST", "/v2.1/servers/{server_id}/action"): {"reboot": {"type": "SOFT"}},
    ("POST", "/v2.1/servers/{server_id}/metadata"): {"metadata": {"k": "v"}},
    ("PUT", "/v2.1/servers/{server_id}/metadata"): {"metadata": {"k": "v"}},
    ("PUT", "/v2.1/servers/{server_id}/metadata/{key}"): {"meta": {"k": "v"}},
    ("PUT", "/v2.1/servers/{server_id}/tags"): {"tags": ["t"]},
    ("POST", "/v2.1/os-keypairs"): {"keypair": {"name": "k", "public_key": "ssh-ed25519 AAAA", "type": "ssh", "user_id": "u"}},
    ("POST", "/v2.1/flavors"):    {"flavor": {"name": "f", "ram": 1, "vcpus": 1, "disk": 0, "id": "auto", "swap": 0,
                                              "OS-FLV-EXT-DATA:ephemeral": 0, "rxtx_factor": 1, "description": "d",
                                              "os-flavor-access:is_public": True}},
    ("PUT", "/v2.1/flavors/{flavor_id}"): {"flavor": {"description": "d"}},
    ("POST", "/v2.1/flavors/{flavor_id}/action"): {"addTenantAccess": {"tenant": "p"}},
    ("POST", "/v2.1/flavors/{flavor_id}/os-extra_specs"): {"extra_specs": {"hw:cpu_policy": "shared"}},
    ("PUT", "/v2.1/flavors/{flavor_id}/os-extra_specs/{key}"): {"k": "v"},
    ("PUT", "/v2.1/os-quota-sets/{project_id}"): {"quota_set": {"instances": 10, "cores": -1, "force": True}},
    ("PUT", "/v2.1/os-services/{service_id}"): {"status": "enabled", "disabled_reason": "r", "forced_down": False},
}
# fmt: on


def hostile_bodies(route: Route) -> Iterator[bytes]:
    """Malformed JSON for every route; for those with a known body also that body with one part changed."""
    yield from MALFORMED
    if (plausible := PLAUSIBLE.get((route.method, route.path))) is not None:
        for changed in replaced(plausible):
            yield json.dumps(changed).encode()


def replaced(body: Any) -> Iterator[Any]:
    """`body` with each of its parts in turn: something odd, gone, joined by a stranger."""
    yield from ODD_VALUES
    if isinstance(body, dict):
        yield body | {"stranger\r\n": {"x": 1}}
        for key, inner in body.items():
            yield {name: value for name, value in body.items() if name != key}
            yield from (body | {key: changed} for changed in replaced(inner))
    elif isinstance(body, list):
        yield body * 500
        for at, inner in enumerate(body):
            yield from ([*body[:at], changed, *body[at + 1 :]] for changed in replaced(inner))
