"""tempest.conf, from the running cloud."""

from __future__ import annotations

import configparser
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.harness.clouds import Cloud
from tests.interop.sets import Set
from tests.interop.site import QCOW2, RAW

SETTINGS = {
    # what Tempest's tests of the password rules need; off by default, as in Keystone
    "PILEUS_IDENTITY_UNIQUE_LAST_PASSWORD_COUNT": "2",
    "PILEUS_IDENTITY_LOCKOUT_AFTER": "2",
    "PILEUS_IDENTITY_LOCKOUT_FIRST_S": "5",
    # Tempest opens a console's websocket by itself, with what it finds in the query of the address
    "PILEUS_COMPUTE_CONSOLE_URL_FORM": "query",
}
"""Options of the cloud that the tests run against, as environment variables."""


def settings(folder: Path, site_port: int) -> dict[str, str]:
    """All of them: also a second store of images, and the web site that images may come from."""
    return SETTINGS | {
        "PILEUS_IMAGE_MORE_STORES": json.dumps({"second": str(folder / "second-store")}),
        "PILEUS_IMAGE_STORE_WEIGHTS": json.dumps({"file": 2, "second": 1}),
        "PILEUS_IMAGE_WEB_DOWNLOAD_NETWORKS": '["127.0.0.0/8"]',
        "PILEUS_IMAGE_WEB_DOWNLOAD_PORTS": json.dumps([site_port]),
    }


def write(file: Path, cloud: Cloud, wanted: Set, site_port: int, manifest: Path | None) -> None:
    if wanted.configuration.get("service_available", {}).get("neutron"):
        name_network_service(cloud)
    parser = configparser.ConfigParser(interpolation=None)
    for section, options in merged(
        common(cloud, file.parent, f"http://127.0.0.1:{site_port}", wanted.image_properties), wanted.configuration
    ).items():
        parser[section] = {name: _written(value) for name, value in options.items()}
    if manifest is not None:
        parser["image"]["images_manifest_file"] = str(manifest)
    with file.open("w") as opened:
        parser.write(opened)
    file.chmod(0o600)


def common(cloud: Cloud, folder: Path, site: str, image_properties: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What every set needs to know."""
    admin = cloud.sdk("pileus-admin")
    login = admin.config.get_auth_args()
    image = min(admin.image.images(), key=lambda one: one.created_at)
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
            "image_ref": other_image(admin, image, image_properties).id if image_properties else image.id,
            "image_ref_alt": other_image(admin, image).id,
            "flavor_ref": flavors[0].id,
            "flavor_ref_alt": flavors[1].id,
            "max_microversion": "latest",
        },
        "image": {"http_image": f"{site}/{RAW}", "http_qcow2_image": f"{site}/{QCOW2}"},
        "enforce_scope": dict.fromkeys(("keystone", "nova", "glance"), True),
        "validation": {"run_validation": False},
    }


def other_image(admin: Any, image: Any, properties: Mapping[str, str] = MappingProxyType({})) -> Any:
    """Another image with the same bytes, for tests that tell servers by their image, or with properties that it lacks."""
    name = "-".join(("tempest-alt", *properties.values()))
    if (found := admin.image.find_image(name)) is not None:
        return found
    data = admin.image.download_image(image).content
    formats = {"disk_format": image.disk_format, "container_format": image.container_format}
    return admin.image.create_image(name, **formats, **properties, data=data, visibility="public")


def name_network_service(cloud: Cloud) -> None:
    """The catalogue names the address where a network service will be.

    Nothing is there.  Tempest looks for a project's security groups when a class of tests ends, and takes 404 for an answer.
    """
    identity = cloud.sdk("pileus-admin").identity
    if identity.find_service("network") is None:
        service = identity.create_service(name="network", type="network")
        identity.create_endpoint(
            service_id=service.id, interface="public", region_id="RegionOne", url=f"{cloud.url}/network"
        )


def merged(
    first: Mapping[str, Mapping[str, Any]], second: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    return {name: {**first.get(name, {}), **second.get(name, {})} for name in (*first, *second)}


def _written(value: object) -> str:
    return ",".join(str(one) for one in value) if isinstance(value, list | tuple) else str(value)
