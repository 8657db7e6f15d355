"""Prints `deploy/config/pileus.toml`: every option of every section with its description, unit and default.

python -m cli.settings_template > deploy/config/pileus.toml
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from pydantic.fields import FieldInfo

from api_gateway.settings import GatewaySettings
from cli.settings_file import CloudSettings
from common.settings import PlatformSettings, Section
from services.compute.settings import AgentSettings, ComputeSettings
from services.identity.settings import IdentitySettings
from services.image.settings import ImageSettings

FILE = Path(__file__).parents[1] / "deploy/config/pileus.toml"

# fmt: off
SECTIONS: tuple[tuple[type[Section], str], ...] = (
    (CloudSettings,    "The first users: read once by 'pileus bootstrap', and by the pileus command."),
    (PlatformSettings, "What all processes of a cloud have in common; the same text on every machine."),
    (GatewaySettings,  "The one public address."),
    (IdentitySettings, "Users, projects, roles, tokens and the catalog."),
    (ImageSettings,    "Images and their bytes."),
    (ComputeSettings,  "Servers, flavors, key pairs, placement."),
    (AgentSettings,    "One hypervisor's agent: each host has its own values."),
)
EXAMPLES = {  # of options that have no default
    ("cloud",    "admin_password"):   "a long random text",
    ("cloud",    "demo_password"):    "a long random text",
    ("platform", "cloud_id"):         "00000000-0000-4000-8000-000000000000",
    ("platform", "public_url"):       "https://cloud.example.org",
    ("platform", "bus_key"):          "a long random text",
    ("platform", "identity_url"):     "http://127.0.0.1:5000",
    ("platform", "image_url"):        "http://127.0.0.1:9292",
    ("identity", "database_url"):     "postgresql+psycopg://pileus:password@127.0.0.1/identity",
    ("image",    "database_url"):     "postgresql+psycopg://pileus:password@127.0.0.1/image",
    ("image",    "store"):            "/var/lib/pileus/images",
    ("image",    "service_password"): "a long random text",
    ("compute",  "database_url"):     "postgresql+psycopg://pileus:password@127.0.0.1/compute",
    ("compute",  "service_password"): "a long random text",
    ("agent",    "storage"):          "/var/lib/pileus/guests",
    ("agent",    "service_password"): "a long random text",
}
# fmt: on

HEAD = """\
# Settings of a Pileus cloud.  'pileus up' writes a short one of these by itself; processes on several machines get this one:
#
#     pileus bootstrap --config pileus.toml
#     pileus serve identity image compute-api placement-api compute-console compute-worker gateway --config pileus.toml
#     pileus agent --config pileus.toml
#
# Options without '#' must be set; the others show their defaults.  The environment wins over the file:
# PILEUS_<SECTION>_<OPTION>, for example PILEUS_PLATFORM_LOG_LEVEL=debug.  Passwords in here: chmod 600.
"""


def template() -> str:
    return HEAD + "".join("\n" + "\n".join(_section(kind, about)) + "\n" for kind, about in SECTIONS)


def _section(kind: type[Section], about: str) -> Iterator[str]:
    yield f"[{kind.section}]"
    yield f"# {about}"
    for name, field in kind.model_fields.items():
        yield ""
        yield from textwrap.wrap(field.description or "", 118, initial_indent="# ", subsequent_indent="# ")
        yield _line(kind.section, name, field)


def _line(section: str, name: str, field: FieldInfo) -> str:
    if field.is_required():
        return f"{name} = {json.dumps(EXAMPLES[section, name])}"
    if field.default_factory is not None:
        empty = field.annotation is not None and "dict" in str(field.annotation)
        return f"# {name} = {{}}" if empty else f"# {name} =  (found out on the machine)"
    if field.default is None:
        return f"# {name} =  (unset)"
    value = str(field.default) if isinstance(field.default, Path) else field.default
    return f"# {name} = {json.dumps(value)}"


if __name__ == "__main__":
    sys.stdout.write(template())
