"""The same world as the unit tests'."""

from tests.unit.image.conftest import inspector, world

__all__ = ["inspector", "world"]
