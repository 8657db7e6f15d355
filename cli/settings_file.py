"""Writes a cloud's `pileus.toml`: made once, with secrets of its own; later only addresses in it change."""

from __future__ import annotations

import json
import re
import secrets
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr

from cli.places import Places, write_private
from common.settings import Section

Values = Mapping[str, str | int | float | bool]
Sections = Mapping[str, Values]

DEFAULT_LISTEN = "127.0.0.1:8470"


class CloudSettings(Section):
    """What only the `pileus` command needs to know."""

    section: ClassVar[str] = "cloud"

    mode: str = Field(
        "distributed",
        description='"embedded": one process; "distributed": each part its own',
        pattern="^(embedded|distributed)$",
    )
    admin_password: SecretStr = Field(description="Password of user admin in project admin")
    demo_password: SecretStr = Field(description="Password of user demo in project demo")


def embedded(places: Places, *, cloud_id: str, listen: str, public_url: str, storage: Path) -> Sections:
    """Everything in one process: SQLite files, no broker, services that call each other directly."""

    def database(service: str) -> str:
        return f"sqlite:///{places.databases / service}.sqlite"

    return {
        "cloud": _cloud("embedded"),
        "platform": {
            **_platform(cloud_id, public_url),
            "bus_url": "memory://",
            "identity_url": "http://identity",
            "image_url": "http://image",
            "log_form": "text",
            "audit_log": str(places.data / "audit.log"),
        },
        "identity": {"database_url": database("identity")},
        "image": {"database_url": database("image"), "store": str(places.images), **service_user("image")},
        "compute": {"database_url": database("compute"), **service_user("compute")},
        "agent": {"storage": str(storage), **service_user("compute-agent")},
        "gateway": {"listen": listen},
    }


def _cloud(mode: str) -> Values:
    return {"mode": mode, "admin_password": password(), "demo_password": password()}


def _platform(cloud_id: str, public_url: str) -> Values:
    return {"cloud_id": cloud_id, "public_url": public_url, "bus_key": secrets.token_urlsafe(32)}


def distributed(
    places: Places,
    *,
    cloud_id: str,
    listen: str,
    public_url: str,
    storage: Path,
    bus_url: str,
    database_url: str,
    ports: Mapping[str, int],
) -> Sections:
    """Each part a process of its own; `database_url` ends with the slash before the database's name."""
    at = {service: f"127.0.0.1:{port}" for service, port in ports.items()}
    urls = {f"{service}_url": f"http://{place}" for service, place in at.items()}
    return {
        "cloud": _cloud("distributed"),
        "platform": {
            **_platform(cloud_id, public_url),
            "bus_url": bus_url,
            "bus_queue_type": "classic",
            "identity_url": urls["identity_url"],
            "image_url": urls["image_url"],
        },
        "identity": {"listen": at["identity"], "database_url": f"{database_url}identity"},
        "image": {
            "listen": at["image"],
            "database_url": f"{database_url}image",
            "store": str(places.images),
            **service_user("image"),
        },
        "compute": {
            "listen": at["compute"],
            "placement_listen": at["placement"],
            "console_listen": at["console"],
            "database_url": f"{database_url}compute",
            **service_user("compute"),
        },
        "agent": {"storage": str(storage), "console_listen": "127.0.0.1:0", **service_user("compute-agent")},
        "gateway": {"listen": listen, **urls},
    }


def new_cloud_id() -> str:
    return str(uuid.uuid4())


def service_user(name: str) -> Values:
    return {"service_username": name, "service_password": password()}


def password() -> str:
    return secrets.token_urlsafe(18)


def write(places: Places, sections: Sections) -> None:
    """The file, readable by its owner alone."""
    write_private(places.settings, _HEAD + "".join(_section(name, values) for name, values in sections.items()))


def change(places: Places, changes: Sections) -> bool:
    """Set options that the file has already, leaving the rest as people wrote it; whether anything differed."""
    before = places.settings.read_text()
    after = before
    for section, values in changes.items():
        for name, value in values.items():
            after = _replaced(after, section, name, value)
    if after != before:
        write_private(places.settings, after)
    return after != before


def _replaced(text: str, section: str, name: str, value: str | int | float | bool) -> str:
    pattern = rf"(?ms)^(\[{re.escape(section)}\](?:(?!^\[).)*?^{re.escape(name)}\s*=\s*)[^\n]*"
    return re.sub(pattern, lambda found: found[1] + json.dumps(value), text, count=1)


def _section(name: str, values: Values) -> str:
    lines = "".join(
        f"{option} = {json.dumps(value)}\n" for option, value in values.items()
    )  # TOML reads JSON's strings
    return f"\n[{name}]\n{lines}"


_HEAD = """# One cloud's settings: written once by the pileus command, yours to change after that (then start the cloud again).
# Every option is described in deploy/config/pileus.toml.  Passwords in here: keep it to yourself.
"""
