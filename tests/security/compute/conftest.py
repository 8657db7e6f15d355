"""The same world as the unit tests'."""

from tests.unit.compute.api.conftest import template, world

__all__ = ["template", "world"]
