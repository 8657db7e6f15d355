"""The parts of the platform by name, and what each is built from.  Only the parts that are asked for are imported."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path

from common.bus.bus import Bus
from common.errors import InvalidInput
from common.process import Part, Surroundings
from common.settings import PlatformSettings

# fmt: off
PARTS: Mapping[str, tuple[str, str]] = {  # name -> module and function; in the order in which they start
    "identity":        ("services.identity.main",      "build"),
    "image":           ("services.image.main",         "build"),
    "compute-api":     ("services.compute.main",       "build_api"),
    "placement-api":   ("services.compute.main",       "build_placement"),
    "compute-console": ("services.compute.main",       "build_console"),
    "compute-worker":  ("services.compute.main",       "build_worker"),
    "agent":           ("services.compute.agent.main", "build"),
    "gateway":         ("api_gateway.main",            "build"),
}
SERVICE_OF = {  # part -> what its URL begins with
    "identity": "identity", "image": "image", "compute-api": "compute", "placement-api": "placement",
    "compute-console": "console",
}
# fmt: on


def build(name: str, surroundings: Surroundings) -> Part:
    """One part, not yet running.  InvalidInput for settings that it cannot work with."""
    if name not in PARTS:
        raise InvalidInput(f"There is no part '{name}'. The parts are: {', '.join(PARTS)}")
    module, function = PARTS[name]
    maker: Callable[[Surroundings], Part] = getattr(importlib.import_module(module), function)
    return maker(surroundings)


def bus_of(platform: PlatformSettings) -> Bus:
    """The bus that this process talks on."""
    if platform.bus_url.startswith("memory:"):
        from common.bus.memory import MemoryBus

        return MemoryBus()
    from common.bus.amqp import AmqpBus

    return AmqpBus(platform)


def surroundings_of(settings_file: Path) -> Surroundings:
    """What the parts of a process of their own are built from: a broker, and services reached over the network."""
    platform = PlatformSettings.read(settings_file)
    if platform.bus_url.startswith("memory:"):
        raise InvalidInput(
            f"{settings_file}: [platform] bus_url is memory://, which joins only the parts of one process. "
            "Give the address of a RabbitMQ broker, or use 'pileus up'"
        )
    return Surroundings(platform=platform, settings_file=settings_file, bus=bus_of(platform))
