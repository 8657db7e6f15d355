"""The same inspector as the unit tests'."""

from tests.unit.image.conftest import inspector

__all__ = ["inspector"]
