"""tempest.conf, from the running cloud."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.harness.clouds import Cloud
from tests.interop.sets import Set

SETTINGS = {
    # what Tempest's tests of the password rules need; off by default, as in Keystone
    "PILEUS_IDENTITY_UNIQUE_LAST_PASSWORD_COUNT": "2",
    "PILEUS_IDENTITY_LOCKOUT_AFTER": "2",
    "PILEUS_IDENTITY_LOCKOUT_FIRST_S": "5",
}
"""Options of the cloud that the tests run against, as environment variables."""


def write(file: Path, cloud: Cloud, wanted: Set) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    for section, options in merged(common(cloud, file.parent), wanted.configuration).items():
        parser[section] = {name: _written(value) for name, value in options.items()}
    with file.open("w") as opened:
        parser.write(opened)
    file.chmod(0o600)


def common(cloud: Cloud, folder: Path) -> dict[str, dict[str, Any]]:
    """What every set needs to know."""
    admin = cloud.sdk("pileus-admin")
    login = admin.config.get_auth_args()
    images = sorted(admin.image.images(), key=lambda one: one.created_at)
    flavors = sorted(admin.compute.flavors(), key=lambda one: (one.ram, one.disk))
    log, locks = folder / "tempest.log", folder / "locks"
    return {
        "DEFAULT": {"log_file": log, "debug": False},
        "oslo_concurrency": {"lock_path": locks},
        "auth": {
            "use_dynamic_credentials": True,
            "admin_username": login["username"],
            "admin_password": login["password"],
            "admin_project_name": login["project_name"],
            "admin_domain_name": "Default",
            "create_isolated_networks": False,
        },
        "identity": {
            "auth_version": "v3",
            "uri_v3": f"{cloud.url}/identity/v3",
            "region": "RegionOne",
            "v3_endpoint_type": "public",
            "default_domain_id": "default",
            "admin_domain_scope": True,
        },
        "service_available": {"glance": True, "nova": True}
        | dict.fromkeys(("cinder", "neutron", "swift", "horizon"), False),
        "compute": {
            "image_ref": images[0].id,
            "image_ref_alt": images[0].id,
            "flavor_ref": flavors[0].id,
            "flavor_ref_alt": flavors[1].id,
            "max_microversion": "latest",
        },
        "validation": {"run_validation": False},
    }


def merged(
    first: Mapping[str, Mapping[str, Any]], second: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    return {name: {**first.get(name, {}), **second.get(name, {})} for name in (*first, *second)}


def _written(value: object) -> str:
    return ",".join(str(one) for one in value) if isinstance(value, list | tuple) else str(value)
