"""`clouds.yaml`: what OpenStack's clients need to know to use a cloud as its admin, or as an ordinary user."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from cli.places import Places, write_private
from cli.settings_file import CloudSettings
from common.settings import PlatformSettings

ADMIN, ORDINARY = "pileus-admin", "pileus"


def write(places: Places, platform: PlatformSettings, cloud: CloudSettings) -> None:
    """The clouds `pileus-admin` and `pileus`, readable by the owner alone."""
    users = {ADMIN: ("admin", cloud.admin_password), ORDINARY: ("demo", cloud.demo_password)}
    entries = {
        name: {
            "auth": {
                "auth_url": f"{platform.public_url}/identity/v3",
                "username": user,
                "password": password.get_secret_value(),
                "project_name": user,
                "user_domain_id": "default",
                "project_domain_id": "default",
            },
            "region_name": platform.region,
            "interface": "public",
            "identity_api_version": "3",
        }
        for name, (user, password) in users.items()
    }
    write_private(places.clouds, json.dumps({"clouds": entries}, indent=2) + "\n")  # JSON is YAML too


def export_line(places: Places) -> str:
    """What to type so that any client finds the cloud, and the clients themselves if they came with this command."""
    line = f"export OS_CLIENT_CONFIG_FILE={places.clouds} OS_CLOUD={ORDINARY}"
    return line if shutil.which("openstack") else f"{line} PATH={Path(sys.executable).parent}:$PATH"
