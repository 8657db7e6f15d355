"""What a guest is made of, beyond its size: as its image's properties and its flavor's extra specs ask.

Read when a server is ordered, so that what no host could do is refused at once, and again when its host is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from services.compute.core.hardware import boards, devices
from services.compute.core.hardware.boards import Board, board_of
from services.compute.core.hardware.devices import Devices, devices_of
from services.compute.core.hardware.limits import Limits, limits_of
from services.compute.core.hardware.processors import Processors, processors_of
from services.compute.core.hardware.settings import Asked
from services.compute.core.hardware.traits import traits_of

NAMES = frozenset({"vmware_adaptertype"}).union(
    name for one in (*boards.SETTINGS, *devices.SETTINGS) for name in (one.image, one.flavor) if name
)
"""Of properties and extra specs that say something of a board or of devices."""


class Hardware(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    board: Board = Board()
    devices: Devices = Devices()
    processors: Processors = Processors()
    limits: Limits = Limits()

    def in_rescue(self, rescue: Hardware) -> Hardware:
        """Of a guest that is started from a rescue image which asks for `rescue`.

        An image that says what the rescue disk is to be leaves the guest's hardware alone; any other is given its own.
        """
        if rescue.devices.rescue_device is None and rescue.devices.rescue_bus is None:
            return rescue.model_copy(update={"processors": self.processors, "limits": self.limits})
        plug = {"rescue_device": rescue.devices.rescue_device, "rescue_bus": rescue.devices.rescue_bus}
        return self.model_copy(update={"devices": self.devices.model_copy(update=plug)})


def device_traits(image_properties: Mapping[str, Any], extra_specs: Mapping[str, Any]) -> frozenset[str]:
    """That a host needs for the board and devices which are asked for.  InvalidInput"""
    if NAMES.isdisjoint(image_properties) and NAMES.isdisjoint(extra_specs):
        return frozenset()
    asked = Asked(image_properties, extra_specs)
    wanted = devices_of(asked)
    return traits_of(board_of(asked, wanted), wanted)


def hardware_of(
    image_properties: Mapping[str, Any],
    extra_specs: Mapping[str, Any],
    *,
    vcpus: int = 1,
    memory_mib: int = 1024,
    image_name: str = "",
    flavor_name: str = "",
) -> Hardware:
    """InvalidInput in Nova's words for a value that is not known, or that the image and the flavor disagree about."""
    asked = Asked(image_properties, extra_specs, image_name, flavor_name)
    wanted = devices_of(asked)
    return Hardware(
        board=board_of(asked, wanted),
        devices=wanted,
        processors=processors_of(asked, vcpus=vcpus, memory_mib=memory_mib),
        limits=limits_of(asked),
    )


def hardware_of_copies(image: Mapping[str, Any], flavor: Mapping[str, Any]) -> Hardware:
    """Of a server that exists: by its own copies of its image and flavor.  InvalidInput"""
    return hardware_of(
        image.get("properties") or {},
        flavor.get("extra_specs") or {},
        vcpus=flavor["vcpus"],
        memory_mib=flavor["memory_mib"],
        image_name=image.get("name") or "",
        flavor_name=flavor.get("name") or "",
    )


__all__ = ["Board", "Devices", "Hardware", "Limits", "Processors", "device_traits", "hardware_of", "hardware_of_copies"]
