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
_NUMBERS = {"total": 8, "reserved": 0, "min_unit": 1, "max_unit": 8, "step_size": 1, "allocation_ratio": 1.0}
_HOLDING = {"allocations": {_ID: {"resources": {"VCPU": 1}, "generation": 1}}, "project_id": "p", "user_id": "u",
            "consumer_generation": None, "consumer_type": "THING", "mappings": {"": [_ID]}}  # fmt: skip

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
    ("POST", "/v2/images/{image_id}/locations"): {"url": "http://h/i"},
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
    ("POST", "/v2.1/os-assisted-volume-snapshots"): {"snapshot": {"volume_id": _ID, "create_info": {
        "snapshot_id": _ID, "type": "qcow2", "new_file": "f", "id": _ID}}},
    ("POST", "/v2.1/servers/{server_id}/migrations/{migration_id}/action"): {"force_complete": None},
    ("POST", "/resource_providers"): {"name": "p", "uuid": _ID, "parent_provider_uuid": _ID},
    ("PUT", "/resource_providers/{provider_id}"): {"name": "p", "parent_provider_uuid": None},
    ("POST", "/resource_providers/{provider_id}/inventories"): _NUMBERS | {"resource_class": "VCPU"},
    ("PUT", "/resource_providers/{provider_id}/inventories"): {"resource_provider_generation": 0,
                                                               "inventories": {"VCPU": _NUMBERS}},
    ("PUT", "/resource_providers/{provider_id}/inventories/{resource_class}"): _NUMBERS | {"resource_provider_generation": 0},
    ("PUT", "/resource_providers/{provider_id}/aggregates"): {"resource_provider_generation": 0, "aggregates": [_ID]},
    ("PUT", "/resource_providers/{provider_id}/traits"): {"resource_provider_generation": 0, "traits": ["HW_CPU_X86_AVX"]},
    ("POST", "/resource_classes"): {"name": "CUSTOM_THING"},
    ("PUT", "/allocations/{consumer_id}"): _HOLDING,
    ("POST", "/allocations"): {_ID: _HOLDING},
    ("POST", "/reshaper"): {"inventories": {_ID: {"resource_provider_generation": 0, "inventories": {"VCPU": _NUMBERS}}},
                            "allocations": {_ID: _HOLDING}},
    ("PUT", "/v2.1/servers/{server_id}"): {"server": {"name": "n", "accessIPv4": "10.0.0.1", "accessIPv6": "::1",
                                                      "description": "d", "hostname": "host", "OS-DCF:diskConfig": "AUTO"}},
    ("POST", "/v2.1/servers/{server_id}/action"): {"reboot": {"type": "SOFT"}},
    ("POST", "/v2.1/servers/{server_id}/remote-consoles"): {"remote_console": {"protocol": "vnc", "type": "novnc"}},
    ("POST", "/v2.1/servers/{server_id}/metadata"): {"metadata": {"k": "v"}},
    ("PUT", "/v2.1/servers/{server_id}/metadata"): {"metadata": {"k": "v"}},
    ("PUT", "/v2.1/servers/{server_id}/metadata/{key}"): {"meta": {"k": "v"}},
    ("PUT", "/v2.1/servers/{server_id}/tags"): {"tags": ["t"]},
    ("POST", "/v2.1/images/{image_id}/metadata"): {"metadata": {"k": "v"}},
    ("PUT", "/v2.1/images/{image_id}/metadata"): {"metadata": {"k": "v"}},
    ("PUT", "/v2.1/images/{image_id}/metadata/{key}"): {"meta": {"k": "v"}},
    ("POST", "/v2.1/os-keypairs"): {"keypair": {"name": "k", "public_key": "ssh-ed25519 AAAA", "type": "ssh", "user_id": "u"}},
    ("POST", "/v2.1/flavors"):    {"flavor": {"name": "f", "ram": 1, "vcpus": 1, "disk": 0, "id": "auto", "swap": 0,
                                              "OS-FLV-EXT-DATA:ephemeral": 0, "rxtx_factor": 1, "description": "d",
                                              "os-flavor-access:is_public": True}},
    ("PUT", "/v2.1/flavors/{flavor_id}"): {"flavor": {"description": "d"}},
    ("POST", "/v2.1/flavors/{flavor_id}/action"): {"addTenantAccess": {"tenant": "p"}},
    ("POST", "/v2.1/flavors/{flavor_id}/os-extra_specs"): {"extra_specs": {"hw:cpu_policy": "shared"}},
    ("PUT", "/v2.1/flavors/{flavor_id}/os-extra_specs/{key}"): {"k": "v"},
    ("PUT", "/v2.1/os-quota-sets/{project_id}"): {"quota_set": {"instances": 10, "cores": -1, "force": True}},
    ("POST", "/v2.1/os-volumes"): {"volume": {"size": 1, "volume_type": "t", "metadata": {"k": "v"}, "snapshot_id": _ID,
                                              "availability_zone": "z", "display_name": "n", "display_description": "d"}},
    ("POST", "/v2.1/os-snapshots"): {"snapshot": {"volume_id": _ID, "force": True, "display_name": "n",
                                                  "display_description": "d"}},
    ("POST", "/v2.1/os-security-groups"): {"security_group": {"name": "n", "description": "d"}},
    ("PUT", "/v2.1/os-security-groups/{group_id}"): {"security_group": {"name": "n", "description": "d"}},
    ("POST", "/v2.1/os-security-group-rules"): {"security_group_rule": {"parent_group_id": _ID, "group_id": _ID,
                                                                        "from_port": 1, "to_port": 1, "ip_protocol": "tcp"}},
    ("POST", "/v2.1/servers/{server_id}/os-volume_attachments"): {"volumeAttachment": {"volumeId": _ID, "device": "/dev/vdb"}},
    ("PUT", "/v2.1/servers/{server_id}/os-volume_attachments/{volume_id}"): {"volumeAttachment": {"volumeId": _ID}},
    ("POST", "/v2.1/servers/{server_id}/os-interface"): {"interfaceAttachment": {
        "net_id": _ID, "fixed_ips": [{"ip_address": "10.0.0.1"}]}},
    ("POST", "/v2.1/servers/{server_id}/shares"): {"share": {"share_id": _ID, "tag": "t"}},
    ("PUT", "/v2.1/os-services/{service_id}"): {"status": "enabled", "disabled_reason": "r", "forced_down": False},
}
# fmt: on


_NAMED = {"name": "n", "description": "d"}
_RULE = {"service": "compute", "method": "GET", "path": "/v2.1/servers"}
_LIMIT = {"service_id": _ID, "region_id": None, "resource_name": "r", "description": "d"}
_SIGNED = {"access": "a", "signature": "s", "host": "h", "verb": "GET", "path": "/", "params": {}}
_LDAP = {"config": {"identity": {"driver": "ldap"}}}
_TRUST = {
    "trustor_user_id": _ID,
    "trustee_user_id": _ID,
    "project_id": _ID,
    "impersonation": True,
    "roles": [{"name": "member"}],
}
_IMPORT = {"import_from": "http://h/i", "import_from_format": "raw", "image_properties": {}}
_SERVER = {"name": "s", "imageRef": _ID, "flavorRef": "1", "networks": "none"}
_PROPERTY = {"name": "p", "title": "P", "type": "string"}

# fmt: off
BODIES: Mapping[tuple[str, str], Any] = dict(PLAUSIBLE) | {  # the same, where it is enough to send one of each
    ("POST", "/v3/domains"):                          {"domain": _NAMED},
    ("PATCH", "/v3/domains/{domain_id}"):             {"domain": {"description": "d"}},
    ("PUT", "/v3/domains/{domain_id}/config"):        _LDAP,
    ("PATCH", "/v3/domains/{domain_id}/config"):      _LDAP,
    ("PATCH", "/v3/domains/{domain_id}/config/{section}"):           _LDAP,
    ("PATCH", "/v3/domains/{domain_id}/config/{section}/{option}"):  {"config": {"driver": "ldap"}},
    ("PATCH", "/v3/projects/{project_id}"):           {"project": {"description": "d"}},
    ("PUT", "/v3/projects/{project_id}/tags"):        {"tags": ["t"]},
    ("PATCH", "/v3/users/{user_id}"):                 {"user": {"email": "e"}},
    ("POST", "/v3/groups"):                           {"group": _NAMED},
    ("PATCH", "/v3/groups/{group_id}"):               {"group": {"description": "d"}},
    ("POST", "/v3/roles"):                            {"role": _NAMED},
    ("PATCH", "/v3/roles/{role_id}"):                 {"role": {"description": "d"}},
    ("POST", "/v3/regions"):                          {"region": {"description": "d"}},
    ("PUT", "/v3/regions/{region_id}"):               {"region": {"description": "d"}},
    ("PATCH", "/v3/regions/{region_id}"):             {"region": {"description": "d"}},
    ("POST", "/v3/services"):                         {"service": {"name": "n", "type": "t"}},
    ("PATCH", "/v3/services/{service_id}"):           {"service": {"name": "n"}},
    ("POST", "/v3/endpoints"):                        {"endpoint": {"service_id": _ID, "interface": "public", "url": "http://h"}},
    ("PATCH", "/v3/endpoints/{endpoint_id}"):         {"endpoint": {"url": "http://h"}},
    ("POST", "/v3/OS-EP-FILTER/endpoint_groups"):     {"endpoint_group": {"name": "n", "filters": {"interface": "public"}}},
    ("PATCH", "/v3/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}"): {"endpoint_group": {"name": "n"}},
    ("POST", "/v3/OS-OAUTH1/consumers"):              {"consumer": {"description": "d"}},
    ("PATCH", "/v3/OS-OAUTH1/consumers/{consumer_id}"): {"consumer": {"description": "d"}},
    ("POST", "/v3/policies"):                         {"policy": {"blob": "b", "type": "t"}},
    ("PATCH", "/v3/policies/{policy_id}"):            {"policy": {"blob": "b"}},
    ("POST", "/v3/limits"):                           {"limits": [_LIMIT | {"project_id": _ID, "resource_limit": 1}]},
    ("PATCH", "/v3/limits/{limit_id}"):               {"limit": {"resource_limit": 1}},
    ("POST", "/v3/registered_limits"):                {"registered_limits": [_LIMIT | {"default_limit": 1}]},
    ("PATCH", "/v3/registered_limits/{registered_limit_id}"): {"registered_limit": {"default_limit": 1}},
    ("POST", "/v3/credentials"):                      {"credential": {"type": "cert", "blob": "b", "user_id": _ID}},
    ("POST", "/v3/users/{user_id}/credentials/OS-EC2"): {"tenant_id": _ID},
    ("POST", "/v3/users/{user_id}/application_credentials"): {"application_credential": {"name": "n", "access_rules": [_RULE]}},
    ("POST", "/v3/OS-TRUST/trusts"):                  {"trust": _TRUST},
    ("POST", "/v3/ec2tokens"):                        {"credentials": _SIGNED},
    ("POST", "/v3/s3tokens"):                         {"credentials": {"access": "a", "signature": "s", "token": "dA=="}},
    ("POST", "/v2.1/servers"):                        {"server": _SERVER},
    ("POST", "/v2.1/os-aggregates"):                  {"aggregate": {"name": "n", "availability_zone": "z"}},
    ("PUT", "/v2.1/os-aggregates/{aggregate_id}"):    {"aggregate": {"name": "n"}},
    ("POST", "/v2.1/os-aggregates/{aggregate_id}/images"): {"cache": [{"id": _ID}]},
    ("POST", "/v2.1/os-server-external-events"):      {"events": [{"name": "network-changed", "server_uuid": _ID}]},
    ("POST", "/v2.1/os-server-groups"):               {"server_group": {"name": "g", "policy": "affinity"}},
    ("PUT", "/v2.1/os-hosts/{host}"):                 {"status": "enable"},
    ("POST", "/v2.1/os-baremetal-nodes/{node_id}/action"): {"add_interface": {"address": "a"}},
    ("PUT", "/v2.1/os-quota-class-sets/{quota_class}"): {"quota_class_set": {"instances": 10}},
    ("POST", "/v2/images/{image_id}/members"):        {"member": _ID},
    ("POST", "/v2/metadefs/namespaces"):              {"namespace": "n"},
    ("PUT", "/v2/metadefs/namespaces/{namespace}"):   {"namespace": "n"},
    ("POST", "/v2/metadefs/namespaces/{namespace}/objects"):        {"name": "o"},
    ("PUT", "/v2/metadefs/namespaces/{namespace}/objects/{name}"):  {"name": "o"},
    ("POST", "/v2/metadefs/namespaces/{namespace}/properties"):       _PROPERTY,
    ("PUT", "/v2/metadefs/namespaces/{namespace}/properties/{name}"): _PROPERTY,
    ("POST", "/v2/metadefs/namespaces/{namespace}/resource_types"):   {"name": "OS::Nova::Server"},
    ("POST", "/v2/metadefs/namespaces/{namespace}/tags"):             {"tags": [{"name": "t"}]},
    ("PUT", "/v2/metadefs/namespaces/{namespace}/tags/{name}"):       {"name": "t"},
    ("POST", "/v2/tasks"):                            {"type": "import", "input": _IMPORT},
}

ACTIONS: Mapping[str, Any] = {  # options of an action; of all others: null
    "addTenantAccess": {"tenant": _ID}, "removeTenantAccess": {"tenant": _ID},
    "add_host": {"host": "h"}, "remove_host": {"host": "h"}, "set_metadata": {"metadata": {"k": "v"}},
    "changePassword": {"adminPass": "p"}, "evacuate": {}, "os-getConsoleOutput": {"length": 1},
    "os-migrateLive": {"host": None, "block_migration": "auto"}, "os-resetState": {"state": "error"},
    "reboot": {"type": "SOFT"}, "rebuild": {"imageRef": _ID}, "resize": {"flavorRef": "1"},
    "createImage": {"name": "n"}, "createBackup": {"name": "n", "backup_type": "daily", "rotation": 1},
    "os-getVNCConsole": {"type": "novnc"}, "os-getSerialConsole": {"type": "serial"},
    "os-getSPICEConsole": {"type": "spice-html5"}, "os-getRDPConsole": {"type": "rdp-html5"},
    "addSecurityGroup": {"name": "g"}, "removeSecurityGroup": {"name": "g"}, "addFixedIp": {"networkId": _ID},
    "removeFixedIp": {"address": "10.0.0.1"}, "addFloatingIp": {"address": "10.0.0.1"},
    "removeFloatingIp": {"address": "10.0.0.1"},
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
