"""How images and flavors say what a guest is to be made of: names, values, and what happens when the two disagree.

Names and values are Nova's: image properties (`hw_disk_bus`) and flavor extra specs (`hw:watchdog_action`).  Of those that
are known every value is checked, whether it comes to matter or not; a name that nobody knows may hold anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from common.errors import InvalidInput
from services.compute.core.extra_specs import must_be_valid

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

TRUE = ("1", "t", "true", "on", "y", "yes")


@dataclass(frozen=True, slots=True)
class Values(Generic[T_co]):
    """What a setting may hold.  `read` raises ValueError with what is wrong; `told` is for people."""

    read: Callable[[str], T_co]
    told: str


def words(*allowed: str, also: Mapping[str, str] | None = None) -> Values[str]:
    """One of these.  `also`: older words, in any case of letters, and what they mean now."""

    def read(value: str) -> str:
        found = (also or {}).get(value.lower(), value) if also is not None else value
        if found not in allowed:
            raise ValueError(f"Field value {value[:64]} is invalid; it can be {', '.join(allowed)}.")
        return found

    return Values(read, ", ".join(allowed))


def any_case(*allowed: str, also: Mapping[str, str] | None = None) -> Values[str]:
    """One of these, however its letters are written."""
    return words(*allowed, also={word: word for word in allowed} | dict(also or {}))


def number(least: int = 0, most: int | None = None) -> Values[int]:
    def read(value: str) -> int:
        try:
            found = int(value[:32])
        except ValueError:
            raise ValueError(f"invalid literal for int() with base 10: '{value[:64]}'") from None
        if found < least or (most is not None and found > most):
            raise ValueError(f"Field value {value[:64]} is invalid; it must be {told}.")
        return found

    told = f"{least} or more" if most is None else f"{least} to {most}"
    return Values(read, told)


def _is_true(value: str) -> bool:
    """As oslo.utils reads it: what is not clearly yes means no."""
    return value.strip().lower() in TRUE


FLAG = Values(_is_true, "yes, no")
TEXT = Values(str, "text")


@dataclass(frozen=True, slots=True)
class Setting(Generic[T_co]):
    """One thing that may be said of a guest, by its image, by its flavor, or by both."""

    image: str | None  # name of the image's property
    flavor: str | None  # name of the flavor's extra spec
    values: Values[T_co]
    meaning: str  # for people


@dataclass(frozen=True, slots=True)
class Asked:
    """What one image and one flavor say together."""

    properties: Mapping[str, str]
    extra_specs: Mapping[str, str]
    image_name: str = ""
    flavor_name: str = ""

    def must_be_known(self, settings: Iterable[Setting[object]]) -> None:
        """InvalidInput for the first value that its setting can't have."""
        for setting in settings:
            self.image(setting)
            self.flavor(setting)

    def image(self, setting: Setting[T]) -> T | None:
        """What the image says; None: nothing.  InvalidInput"""
        if setting.image is None or (value := self.properties.get(setting.image)) is None:
            return None
        try:
            return setting.values.read(str(value))
        except ValueError as error:
            raise InvalidInput(f"Invalid image metadata. Error: {error} (property {setting.image})") from error

    def flavor(self, setting: Setting[T]) -> T | None:
        """What the flavor says; None: nothing.  InvalidInput"""
        if setting.flavor is None or (value := self.extra_specs.get(setting.flavor)) is None:
            return None
        must_be_valid(setting.flavor, str(value))
        try:
            return setting.values.read(str(value))
        except ValueError as error:
            raise InvalidInput(f"Validation failed; {error} (extra spec {setting.flavor})") from error

    def image_first(self, setting: Setting[T]) -> T | None:
        found = self.image(setting)
        return self.flavor(setting) if found is None else found

    def flavor_first(self, setting: Setting[T]) -> T | None:
        found = self.flavor(setting)
        return self.image(setting) if found is None else found

    def agreed(self, setting: Setting[T]) -> T | None:
        """What either says.  InvalidInput if both do, and differ"""
        of_image, of_flavor = self.image(setting), self.flavor(setting)
        if of_image is not None and of_flavor is not None and of_image != of_flavor:
            raise InvalidInput(
                f"Flavor {self.flavor_name} has {setting.flavor} extra spec explicitly set to {of_flavor}, conflicting "
                f"with image {self.image_name} which has {setting.image} explicitly set to {of_image}."
            )
        return of_image if of_flavor is None else of_flavor
