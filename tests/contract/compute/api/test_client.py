"""The client that other services use understands what the API answers."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from common.errors import NotFound, Unauthenticated
from services.compute.client import ComputeClient
from tests.unit.compute.api.world import ADMIN, ALICE, World, a_token


def test_a_service_learns_what_it_needs_of_a_server(world: World) -> None:
    server_id = world.active_server(host="one")
    client = ComputeClient("http://compute", inside=world.inside)

    owners = client.server(server_id, token=a_token())
    services = client.server(UUID(server_id), token=a_token(ALICE, ADMIN))

    assert (owners.id, owners.project_id, owners.status, owners.host) == (UUID(server_id), ALICE, "ACTIVE", None)
    assert services.host == "one"
    with pytest.raises(NotFound):
        client.server(uuid4(), token=a_token())
    with pytest.raises(Unauthenticated):
        client.server(server_id)
    client.close()
