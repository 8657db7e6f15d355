"""`make docs`: the tables under docs/api, from the code that they describe."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from api_gateway.settings import GatewaySettings
from common.bus.messages import Call, Message
from common.settings import PlatformSettings, Section
from docs import openapi, personas
from services.compute import contract as compute_contract
from services.compute.api.history import HISTORY
from services.compute.api.placement.routes import ROUTERS as PLACEMENT
from services.compute.api.routes import ROUTERS as COMPUTE
from services.compute.core.hardware import boards, devices, limits, processors
from services.compute.core.hardware.settings import Setting
from services.compute.core.states import RULES
from services.compute.settings import AgentSettings, ComputeSettings
from services.identity import contract as identity_contract
from services.identity.api import ROUTERS as IDENTITY
from services.identity.settings import IdentitySettings
from services.image import contract as image_contract
from services.image.api.routes import ROUTERS as IMAGE
from services.image.settings import ImageSettings

API = Path(__file__).parent / "api"
NOTE = "<!-- Written by `make docs`; change the code, not this page. -->\n\n"

SERVICES: dict[str, Sequence[APIRouter]] = {
    "identity": IDENTITY,
    "image": IMAGE,
    "compute": COMPUTE,
    "placement": PLACEMENT,
}
HARDWARE: dict[str, Sequence[Setting[object]]] = {
    "Board and firmware": boards.SETTINGS,
    "Devices": devices.SETTINGS,
    "Processors and memory": processors.SETTINGS,
    "Limits": limits.SETTINGS,
}
SECTIONS: tuple[type[Section], ...] = (
    PlatformSettings, IdentitySettings, ImageSettings, ComputeSettings, AgentSettings, GatewaySettings,
)  # fmt: skip
CONTRACTS = (compute_contract, identity_contract, image_contract)


def pages() -> dict[str, str]:
    """File name -> content, of everything generated."""
    return {
        "operations.md": operations(),
        "options.md": options(),
        "guest-hardware.md": guest_hardware(),
        "server-states.md": server_states(),
        "microversions.md": microversions(),
        "bus.json": bus(),
        "policy.md": NOTE + personas.table(),
        **{f"openapi/{service}.json": openapi.document(service, routers) for service, routers in SERVICES.items()},
    }


def operations() -> str:
    parts = [NOTE + "# Operations\n"]
    for service, routers in SERVICES.items():
        parts.append(f"\n## {service}\n\n| method | path | what |\n| --- | --- | --- |\n")
        parts += [f"| {method} | `/{service}{path}` | {told} |\n" for path, method, told in routes(routers)]
    return "".join(parts)


def routes(routers: Sequence[APIRouter]) -> list[tuple[str, str, str]]:
    found = [
        (route.path, method, first_line(route.endpoint.__doc__) or route.name.replace("_", " "))
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute) and route.include_in_schema
        for method in sorted(route.methods or ())
    ]
    return sorted(set(found))


def options() -> str:
    head = "# Options\n\nIn `pileus.toml`, one section each; the variable `PILEUS_<SECTION>_<OPTION>` wins over the file.\n"
    return NOTE + head + "".join(section_table(section) for section in SECTIONS)


def section_table(section: type[Section]) -> str:
    lines = [f"\n## [{section.section}]\n\n| option | default | meaning |\n| --- | --- | --- |\n"]
    for name, field in sorted(section.model_fields.items()):
        default = (
            "required" if field.default is PydanticUndefined and field.default_factory is None else shown(field.default)
        )
        lines.append(f"| `{name}` | {default} | {field.description} |\n")
    return "".join(lines)


def shown(default: object) -> str:
    if default is PydanticUndefined:
        return ""
    return "secret" if isinstance(default, SecretStr) else f"`{default}`"


def guest_hardware() -> str:
    """What images and flavors may ask for, part by part."""
    head = "# What images and flavors may ask of a guest's hardware\n"
    return NOTE + head + "".join(hardware_table(title, settings) for title, settings in HARDWARE.items())


def hardware_table(title: str, settings: Sequence[Setting[object]]) -> str:
    lines = [f"\n## {title}\n\n| image property | flavor extra spec | values | meaning |\n| --- | --- | --- | --- |\n"]
    for one in settings:
        names = [f"`{name}`" if name else "" for name in (one.image, one.flavor)]
        lines.append(f"| {' | '.join(names)} | {one.values.told} | {one.meaning} |\n")
    return "".join(lines)


def server_states() -> str:
    lines = [
        NOTE,
        "# What may be done to a server, and when\n\n",
        "| action | allowed in | saga | leaves |\n| --- | --- | --- | --- |\n",
    ]
    for action, rule in RULES.items():
        allowed = ", ".join(sorted(str(state) for state in rule.needs))
        lines.append(f"| {action} | {allowed} | `{rule.saga}` | {rule.then} |\n")
    return "".join(lines)


def microversions() -> str:
    head = (
        "# What each microversion of Compute changed\n\n| version | what changed | is it here |\n| --- | --- | --- |\n"
    )
    return NOTE + head + "".join(f"| 2.{minor} | {one.what} | {one.here} |\n" for minor, one in HISTORY.items())


def bus() -> str:
    schemas = {kind.__name__: schema(kind) for kind in messages()}
    return json.dumps(dict(sorted(schemas.items())), indent=1, sort_keys=True) + "\n"


def messages() -> Iterator[type[Message]]:
    for contract in CONTRACTS:
        for kind in vars(contract).values():
            if (
                isinstance(kind, type)
                and issubclass(kind, Message)
                and kind.__module__ == contract.__name__
                and "[" not in kind.__name__
            ):
                yield kind


def schema(kind: type[Message]) -> dict[str, object]:
    told: dict[str, object] = {"body": kind.model_json_schema()}
    if issubclass(kind, Call):
        told |= {"queue": kind.queue, "timeout_s": kind.timeout_s, "answer": kind.answer_type().json_schema()}
    return told


def first_line(text: str | None) -> str:
    return (text or "").strip().split("\n")[0].replace("|", "\\|")


def main() -> int:
    """Write the pages; with --check, say which are stale instead."""
    stale = []
    for name, content in pages().items():
        file = API / name
        if "--check" not in sys.argv:
            file.parent.mkdir(exist_ok=True)
            file.write_text(content)
        elif not file.exists() or file.read_text() != content:
            stale.append(name)
    if stale:
        print(f"Stale under docs/api: {', '.join(stale)}. Run: make docs", file=sys.stderr)  # noqa: T201
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
