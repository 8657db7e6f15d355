from tests.unit.identity.worlds import filled, world

__all__ = ["filled", "world"]
