from tests.unit.compute.sagas.conftest import tables, world

__all__ = ["tables", "world"]
