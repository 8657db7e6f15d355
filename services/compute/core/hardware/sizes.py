"""What is asked of a guest's processors, with the sizes that it has to fit."""

from __future__ import annotations

from dataclasses import dataclass

from common.errors import InvalidInput
from services.compute.core.hardware.settings import Asked, Setting


@dataclass(frozen=True, slots=True)
class Wanted:
    asked: Asked
    vcpus: int
    memory_mib: int

    def spec(self, setting: Setting[object]) -> str | None:
        """The flavor's own words; what is empty says nothing."""
        value = self.asked.extra_specs.get(setting.flavor or "")
        return str(value) if value not in (None, "") else None

    def property(self, setting: Setting[object]) -> str | None:
        """The image's own words."""
        value = self.asked.properties.get(setting.image or "")
        return str(value) if value not in (None, "") else None

    def numbers(self, setting: Setting[int]) -> tuple[int, int]:
        """The flavor's and the image's; 0 where nothing is said.  InvalidInput"""
        return self.asked.flavor(setting) or 0, self.asked.image(setting) or 0


def bad_spec(error: str) -> InvalidInput:
    return InvalidInput(f"Invalid flavor extra spec. Error: {error}")
