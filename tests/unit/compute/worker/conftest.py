from tests.unit.compute.sagas.conftest import world

__all__ = ["world"]
