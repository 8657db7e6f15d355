"""What sagas of servers cost the database, so that nobody makes a boot dearer without noticing."""

from __future__ import annotations

from datetime import timedelta

from common.db.counting import counted
from common.saga.store import Sagas
from services.compute.db.tables import SAGAS
from services.compute.sagas import (
    BOOT_SERVER,
    DELETE_SERVER,
    STOP_SERVER,
    BootServer,
    DeleteServer,
    StopServer,
)
from services.compute.sagas.seen_images import KNOWN_FOR
from tests.harness.compute import ComputeWorld


def warm(world: ComputeWorld) -> None:
    """Each host has the image, and said so a moment ago."""
    servers = [world.a_booted_server() for _ in world.host_names]
    assert {world.server(one).host for one in servers} == set(world.host_names)


def test_a_boot_after_another_one_takes_three_transactions(world: ComputeWorld) -> None:
    warm(world)
    server_id = world.a_server()
    world.begin(BOOT_SERVER, BootServer(server_id=server_id))

    with counted(world.database) as sent:
        world.engine.run_due()

    assert world.server(server_id).vm_state == "active"
    assert sent.transactions == 3  # claim; choose a host; note what the host did
    assert len(sent) <= 21, sent


def test_a_stop_takes_three_transactions(world: ComputeWorld) -> None:
    server_id = world.a_booted_server()
    world.change(server_id, task_state="powering-off")
    world.begin(STOP_SERVER, StopServer(server_id=server_id))

    with counted(world.database) as sent:
        world.engine.run_due()

    assert world.server(server_id).vm_state == "stopped"
    assert sent.transactions <= 3 and len(sent) <= 11, sent


def test_a_delete_takes_three_transactions(world: ComputeWorld) -> None:
    server_id = world.a_booted_server()
    world.begin(DELETE_SERVER, DeleteServer(server_id=server_id))

    with counted(world.database) as sent:
        world.engine.run_due()

    assert world.server(server_id).deleted_at is not None
    assert sent.transactions == 3  # claim; find its host; note that the guest is gone
    assert len(sent) <= 16, sent


def test_a_host_that_just_said_that_it_has_the_image_is_not_asked_again(world: ComputeWorld) -> None:
    warm(world)

    saga_id = world.begin(BOOT_SERVER, BootServer(server_id=world.a_server()))
    world.engine.run_due()

    with world.database.reading() as session:
        image = next(event for event in Sagas(session, SAGAS).events_of([saga_id]) if event.step == "image")
    assert image.succeeded and image.began_at == image.ended_at, "its timeline tells of the step all the same"


def test_an_image_that_left_a_host_meanwhile_is_fetched_with_the_guest(world: ComputeWorld) -> None:
    warm(world)
    for kept in (world.directory / "images").iterdir():
        if kept.is_file():
            kept.unlink()

    assert world.a_booted_server()


def test_a_host_is_asked_again_after_a_while(world: ComputeWorld) -> None:
    warm(world)
    world.clock.advance(KNOWN_FOR / timedelta(seconds=1) + 1)
    world.begin(BOOT_SERVER, BootServer(server_id=world.a_server()))

    with counted(world.database) as sent:
        world.engine.run_due()

    assert sent.transactions > 3
