"""C5 and C6: what a new server could not have, a server does not get later; and a resize ends with its server, in each phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from common.errors import Unavailable
from common.saga.engine import Pace, SagaEngine
from common.saga.saga import LocalStep, Run, Saga, Step
from common.saga.store import Sagas
from services.compute.core.states import VmState
from services.compute.db.quotas import Quotas
from services.compute.db.tables import SAGAS as TABLES
from services.compute.sagas import (
    CONFIRM_RESIZE,
    DELETE_SERVER,
    REBUILD_SERVER,
    RESIZE_SERVER,
    REVERT_RESIZE,
    SAGAS,
    SHELVE_SERVER,
    UNSHELVE_SERVER,
    DeleteServer,
    RebuildServer,
    ResizeServer,
    ShelveServer,
    UnshelveServer,
)
from services.compute.sagas.rebuild_server import OldImage
from tests.harness.compute import FLAVOR, ComputeWorld

LARGER = dict(FLAVOR) | {"id": "2", "name": "m1.small", "vcpus": 2, "memory_mib": 2048, "root_gib": 2}
STRANGE: Mapping[str, str] = {"trait:CUSTOM_NOBODY_HAS_IT": "required"}
TIMES = 30


def of_quota(world: ComputeWorld) -> tuple[int, int, int]:
    with world.database.reading() as session:
        used = Quotas(session, {}).servers_used("p")
    return used.instances, used.cores, used.ram


def test_c5_a_flavor_that_no_host_passes_is_refused_as_often_as_one_asks(world: ComputeWorld) -> None:
    server_id = world.a_booted_server()
    claims, flavor = world.claims(), LARGER | {"extra_specs": STRANGE}

    for _ in range(TIMES):
        world.change(server_id, task_state="resize_migrating")
        server = world.do(RESIZE_SERVER, ResizeServer(server_id=server_id, flavor=flavor))

        assert (server.vm_state, server.flavor["name"]) == (VmState.ACTIVE, "m1.tiny")
        assert world.claims() == claims
    assert world.disagreements() == []


def test_c5_an_image_that_no_host_passes_is_refused_as_often_as_one_asks(world: ComputeWorld) -> None:
    server_id = world.a_booted_server()
    was, claims = world.server(server_id), world.claims()
    old = OldImage(image_id=was.image_id, image=was.image)

    for _ in range(TIMES):
        world.change(server_id, task_state="rebuilding", image_id=uuid4(), image=was.image | {"properties": STRANGE})
        server = world.do(REBUILD_SERVER, RebuildServer(server_id=server_id, old=old))

        assert server.vm_state == VmState.ERROR and "No valid host was found" in str(server.fault)
        assert (server.image_id, server.image) == (was.image_id, was.image)
        assert world.claims() == claims
    assert world.disagreements() == [], "its guest is the one that it had"


def test_c5_a_shelved_server_whose_image_no_host_passes_stays_where_it_is(world: ComputeWorld) -> None:
    server_id = world.a_booted_server()
    world.do(SHELVE_SERVER, ShelveServer(server_id=server_id, image_id=world.gallery.make()))
    world.engine.run_due()
    image = world.server(server_id).image
    world.change(server_id, image=image | {"properties": STRANGE})

    for _ in range(TIMES):
        world.change(server_id, task_state="unshelving")
        server = world.do(UNSHELVE_SERVER, UnshelveServer(server_id=server_id))

        assert (server.vm_state, server.host) == (VmState.SHELVED_OFFLOADED, None)
        assert world.claims() == {}
    world.change(server_id, task_state="unshelving", image=image)
    assert world.do(UNSHELVE_SERVER, UnshelveServer(server_id=server_id)).vm_state == VmState.ACTIVE
    world.engine.run_due()
    assert world.disagreements() == []


def test_c5_resized_up_and_down_as_often_as_one_likes_the_claim_is_exact(world: ComputeWorld) -> None:
    server_id = world.a_booted_server()

    for round_ in range(TIMES):
        flavor = LARGER if round_ % 2 == 0 else dict(FLAVOR)
        world.do(RESIZE_SERVER, ResizeServer(server_id=server_id, flavor=flavor))
        end = CONFIRM_RESIZE if round_ % 3 else REVERT_RESIZE
        world.do(end, end.params(server_id=server_id))

        assert world.disagreements() == []


PHASES = [(saga, step.name) for saga in (RESIZE_SERVER, CONFIRM_RESIZE, REVERT_RESIZE) for step in saga.steps]


@pytest.mark.parametrize(("saga", "phase"), PHASES, ids=lambda one: str(getattr(one, "name", one)))
def test_c6_a_server_deleted_in_any_phase_of_a_resize_leaves_nothing(
    world: ComputeWorld, saga: Saga[Any], phase: str
) -> None:
    for _ in range(3):
        server_id = world.a_booted_server()
        if saga is not RESIZE_SERVER:
            world.do(RESIZE_SERVER, ResizeServer(server_id=server_id, flavor=LARGER))
        params = {"flavor": LARGER} if saga is RESIZE_SERVER else {}
        world.begin(saga, saga.params(server_id=server_id, **params))
        world.engine = SagaEngine(
            world.database,
            TABLES,
            SAGAS | {saga.name: stuck_after(saga, phase)},
            world.kit,
            worker="stuck",
            pace=Pace(threads=4),
            now=world.clock.now,
        )
        world.engine.run_due()

        delete(world, server_id)

        assert world.server(server_id).vm_state == VmState.DELETED
        assert world.claims() == {} and world.guests() == {} and of_quota(world) == (0, 0, 0)
        assert world.disagreements() == []


def stuck_after(saga: Saga[Any], phase: str) -> Saga[Any]:
    """This step is done on its host, or not at all in the database, and the saga gets no further."""

    def stuck(step: Step | LocalStep) -> Step | LocalStep:
        def do(run: Run[Any], kit: Any, *session: Any) -> Any:
            if isinstance(step, Step):
                step.do(run, kit)
            raise Unavailable("Not now, for the test")

        work: Any = do
        return replace(step, do=work) if step.name == phase else step

    return replace(saga, steps=tuple(stuck(step) for step in saga.steps))


def delete(world: ComputeWorld, server_id: UUID) -> None:
    with world.database.transaction() as session:
        Sagas(session, TABLES).cancel(server_id)
    world.change(server_id, task_state="deleting")
    world.begin(DELETE_SERVER, DeleteServer(server_id=server_id))
    for _ in range(20):
        world.clock.advance(20)
        world.engine.run_due()
        if world.server(server_id).vm_state == VmState.DELETED:
            return


def test_a_revert_whose_guest_does_not_start_has_its_old_size_and_claims_no_more(world: ComputeWorld) -> None:
    server_id = world.a_booted_server()
    before = world.claims()
    world.do(RESIZE_SERVER, ResizeServer(server_id=server_id, flavor=LARGER))
    world.change(server_id, task_state="resize_reverting")
    for hypervisor in world.hosts.values():
        hypervisor.faults.fail_next("start", ValueError("It does not start"))

    server = world.do(REVERT_RESIZE, REVERT_RESIZE.params(server_id=server_id))
    world.reconcile()

    assert (server.vm_state, server.flavor["name"], server.before) == (VmState.ERROR, "m1.tiny", None)
    assert world.claims() == before and world.disagreements() == []


def test_a_rebuild_frees_what_was_claimed_for_a_way_back(world: ComputeWorld) -> None:
    server_id = world.a_booted_server()
    world.do(RESIZE_SERVER, ResizeServer(server_id=server_id, flavor=LARGER | {"memory_mib": 256}))
    world.change(server_id, vm_state="error", task_state="rebuilding")

    server = world.do(REBUILD_SERVER, RebuildServer(server_id=server_id))

    assert (server.vm_state, server.before) == (VmState.ACTIVE, None)
    assert world.disagreements() == []
