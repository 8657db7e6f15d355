"""Servers with processors of their own: where they go, what they claim, and why they go nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile
from typing import Any
from uuid import UUID

import pytest

from common.db.database import Database
from services.compute.core.states import VmState
from services.compute.sagas import BOOT_SERVER, CONFIRM_RESIZE, RESIZE_SERVER, REVERT_RESIZE, BootServer, ResizeServer
from services.compute.sagas.resize_server import ConfirmResize, RevertResize
from tests.harness.compute import FLAVOR, ComputeWorld
from tests.unit.compute.sagas.conftest import tables as tables
from tests.unit.compute.sagas.conftest import world as world


@pytest.fixture
def roomy(tables: Path, tmp_path: Path) -> Iterator[ComputeWorld]:
    """Three hosts that keep two processors each for such servers."""
    database = Database(f"sqlite:///{copyfile(tables, tmp_path / 'roomy.sqlite')}", synchronous="OFF")
    made = ComputeWorld(tmp_path / "roomy", database, pcpus=2)
    yield made
    made.close()


def a_flavor(name: str = "1", **specs: str) -> dict[str, Any]:
    """`cpu_policy` is the extra spec `hw:cpu_policy`."""
    return dict(FLAVOR) | {"id": name, "extra_specs": {f"hw:{key}": value for key, value in specs.items()}}


DEDICATED = a_flavor("dedicated", cpu_policy="dedicated")


def boot(world: ComputeWorld, flavor: dict[str, Any], **changes: Any) -> Any:
    return world.do(BOOT_SERVER, BootServer(server_id=world.a_server(flavor=flavor, **changes)))


def processors(world: ComputeWorld, server_id: UUID) -> dict[str, int]:
    [held] = world.claims()[server_id].values()
    return {name: amount for name, amount in held.items() if name.endswith("CPU")}


def test_a_server_goes_where_processors_are_kept_for_it(roomy: ComputeWorld) -> None:
    server = boot(roomy, DEDICATED)

    assert server.vm_state == VmState.ACTIVE
    assert processors(roomy, server.id) == {"PCPU": 1}
    assert roomy.disagreements() == []


def test_an_image_may_ask_for_them(roomy: ComputeWorld) -> None:
    image = roomy.server(roomy.a_server()).image | {"properties": {"hw_cpu_policy": "dedicated"}}

    server = boot(roomy, a_flavor(), image=image)

    assert processors(roomy, server.id) == {"PCPU": 1}


def test_many_who_race_for_them_get_no_more_than_there_are(roomy: ComputeWorld) -> None:
    servers = [roomy.a_server(flavor=DEDICATED) for _ in range(10)]

    for server_id in servers:
        roomy.begin(BOOT_SERVER, BootServer(server_id=server_id))
    roomy.engine.run_due()

    found = [roomy.server(server_id) for server_id in servers]
    assert sorted(one.vm_state for one in found) == [VmState.ACTIVE] * 6 + [VmState.ERROR] * 4
    refused = next(str(one.fault) for one in found if one.vm_state == VmState.ERROR)
    assert "PCPUFilter removed 3" in refused and "wait for a guest to give its own back" in refused


@pytest.mark.parametrize(
    ("specs", "told"),
    [
        (
            {"cpu_policy": "dedicated"},
            ("PCPUFilter removed 3", "shares processors (hw:cpu_policy), or set cpu_dedicated_set"),
        ),
        (
            {"mem_page_size": "1GB"},
            ("NUMATopologyFilter removed 3", "host sim-1 has no memory pages of the size asked for"),
        ),
    ],
)
def test_where_none_are_kept_it_is_said_what_would_help(
    world: ComputeWorld, specs: dict[str, str], told: tuple[str, ...]
) -> None:
    refused = boot(world, a_flavor(**specs))

    assert refused.vm_state == VmState.ERROR
    assert all(one in str(refused.fault) for one in told)


def test_more_cells_than_a_host_has_fit_nowhere(world: ComputeWorld) -> None:
    refused = boot(world, a_flavor(numa_nodes="2") | {"vcpus": 2})

    assert "NUMATopologyFilter removed 3" in str(refused.fault)
    assert "choose a flavor or image that asks for less: host sim-1 has 1 NUMA cell of the 2 asked for" in str(
        refused.fault
    )


def test_a_thread_policy_asks_for_hosts_with_threads(roomy: ComputeWorld) -> None:
    alone = boot(roomy, a_flavor(cpu_policy="dedicated", cpu_thread_policy="isolate"))
    paired = boot(roomy, a_flavor(cpu_policy="dedicated", cpu_thread_policy="require") | {"vcpus": 2})

    assert alone.vm_state == VmState.ACTIVE
    assert "TraitsFilter removed 3" in str(paired.fault)
    assert "without requiring HW_CPU_HYPERTHREADING" in str(paired.fault)


def test_a_resize_changes_what_is_claimed_and_can_be_taken_back(roomy: ComputeWorld) -> None:
    server = boot(roomy, a_flavor("shared"))

    roomy.do(RESIZE_SERVER, ResizeServer(server_id=server.id, flavor=DEDICATED))
    meanwhile = processors(roomy, server.id)
    roomy.do(REVERT_RESIZE, RevertResize(server_id=server.id))
    back = processors(roomy, server.id)
    roomy.do(RESIZE_SERVER, ResizeServer(server_id=server.id, flavor=DEDICATED))
    roomy.do(CONFIRM_RESIZE, ConfirmResize(server_id=server.id))

    assert (meanwhile, back) == ({"VCPU": 1, "PCPU": 1}, {"VCPU": 1})
    assert processors(roomy, server.id) == {"PCPU": 1}
    assert roomy.disagreements() == []
