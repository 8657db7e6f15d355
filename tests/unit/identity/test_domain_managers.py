"""A manager of a domain gives and takes ordinary roles in it, and nothing more."""

from __future__ import annotations

import pytest

from services.identity.db.tables import Domain
from tests.unit.identity.worlds import Headers, World, a_project, a_role, a_user, given


@pytest.fixture
def manager(world: World) -> Headers:
    """Of the domain `other`."""
    with world.kit.database.transaction() as session:
        session.add(Domain(id="other", name="Other", description=None, enabled=True, options={}, extra={}))
    mia = a_user(world, "mia")
    given(world, f"domains/other/users/{mia}/roles/{world.id_of('roles', 'manager')}")
    return world.as_("mia", {"domain": {"id": "other"}})


@pytest.mark.parametrize("role", ["reader", "member", "manager"])
@pytest.mark.parametrize("place", ["projects/{project}", "domains/other"])
def test_it_gives_and_takes_what_is_not_more_than_its_own(
    world: World, manager: Headers, role: str, place: str
) -> None:
    eve, project = a_user(world, "eve", domain_id="other"), a_project(world, "p", domain_id="other")
    path = f"/v3/{place.format(project=project)}/users/{eve}/roles/{world.id_of('roles', role)}"

    given_and_taken = [
        world.http.request(verb, path, headers=manager).status_code for verb in ("PUT", "HEAD", "DELETE")
    ]

    assert given_and_taken == [204, 204, 204]


def test_it_may_not_go_beyond(world: World, manager: Headers) -> None:
    eve, project = a_user(world, "eve", domain_id="other"), a_project(world, "p", domain_id="other")
    member, admin, cook = world.id_of("roles", "member"), world.id_of("roles", "admin"), a_role(world, "cook")
    demo, demo_project = world.id_of("users", "demo"), world.id_of("projects", "demo")
    refused = {
        "a greater role": f"projects/{project}/users/{eve}/roles/{admin}",
        "a role of unknown might": f"projects/{project}/users/{eve}/roles/{cook}",
        "somebody of another domain": f"projects/{project}/users/{demo}/roles/{member}",
        "a project of another domain": f"projects/{demo_project}/users/{eve}/roles/{member}",
        "another domain": f"domains/default/users/{eve}/roles/{member}",
        "the system": f"system/users/{eve}/roles/{member}",
    }

    answers = {why: world.http.put(f"/v3/{path}", headers=manager).status_code for why, path in refused.items()}

    assert answers == dict.fromkeys(refused, 403)


def test_it_sees_the_roles_it_may_give(world: World, manager: Headers) -> None:
    assert {"reader", "member", "manager"} <= {role["name"] for role in world.get("/v3/roles", manager)["roles"]}
    assert world.http.get(f"/v3/roles/{world.id_of('roles', 'member')}", headers=manager).status_code == 200
    assert world.http.get(f"/v3/roles/{world.id_of('roles', 'admin')}", headers=manager).status_code == 403
    assert world.http.post("/v3/roles", headers=manager, json={"role": {"name": "x"}}).status_code == 403
