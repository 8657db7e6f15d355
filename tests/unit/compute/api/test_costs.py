"""How many statements and transactions each call on servers costs the database."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from common.db.counting import counted
from tests.unit.compute.api.world import World

PATH = "/v2.1/servers"
Call = Callable[[World, str], httpx.Response]


def show(world: World, server_id: str) -> httpx.Response:
    return world.alice.get(f"{PATH}/{server_id}")


def page(world: World, server_id: str) -> httpx.Response:
    return world.alice.get(f"{PATH}/detail?limit=1000")


def create(world: World, server_id: str) -> httpx.Response:
    return world.alice.post(PATH, json=world.order())


def stop(world: World, server_id: str) -> httpx.Response:
    return world.alice.post(f"{PATH}/{server_id}/action", json={"os-stop": None})


def delete(world: World, server_id: str) -> httpx.Response:
    return world.alice.delete(f"{PATH}/{server_id}")


@pytest.mark.parametrize(
    ("call", "transactions", "statements"),
    [(show, 1, 1), (page, 1, 1), (create, 2, 5), (stop, 1, 3), (delete, 1, 4)],
    ids=lambda value: value.__name__ if callable(value) else str(value),
)
def test_a_call_costs_no_more_than_it_did(world: World, call: Call, transactions: int, statements: int) -> None:
    world.host()
    server_id = world.active_server()
    call(world, world.active_server())  # the first of its kind may have to learn something

    with counted(world.kit.database) as sent:
        answer = call(world, server_id)

    assert answer.is_success, answer.text
    assert sent.transactions <= transactions and len(sent) <= statements, (sent.transactions, sent)
