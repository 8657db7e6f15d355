"""A role that is taken ends the tokens that carry it, and few others."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from services.identity.api import lost_roles
from services.identity.db.tables import Revoked
from tests.unit.identity.worlds import World, a_group, a_project, a_user, given, scope_to


def taken(world: World, path: str) -> None:
    answer = world.http.delete(f"/v3/{path}", headers=world.as_())
    assert answer.status_code == 204, answer.text


def lives(world: World, token: str) -> bool:
    return world.http.get("/v3/auth/projects", headers={"x-auth-token": token}).status_code == 200


def entries(world: World) -> int:
    with world.kit.database.reading() as session:
        return session.scalars(select(func.count()).select_from(Revoked)).one()


def test_a_role_taken_from_a_group_ends_the_tokens_of_its_members_there(world: World) -> None:
    eve, dan = a_user(world, "eve"), a_user(world, "dan")
    group, project, other = a_group(world, "crew", eve), a_project(world, "p"), a_project(world, "q")
    role = world.id_of("roles", "member")
    given(world, f"projects/{project}/groups/{group}/roles/{role}")
    given(world, f"projects/{other}/groups/{group}/roles/{role}")
    given(world, f"projects/{project}/users/{dan}/roles/{role}")
    there, elsewhere, of_dan = (
        world.token("eve", scope_to("p")),
        world.token("eve", scope_to("q")),
        world.token("dan", scope_to("p")),
    )

    taken(world, f"projects/{project}/groups/{group}/roles/{role}")

    assert (lives(world, there), lives(world, elsewhere), lives(world, of_dan)) == (False, True, True)


def test_a_large_group_costs_one_entry(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lost_roles, "MOST_ENTRIES", 2)
    members = [a_user(world, f"u{number}") for number in range(3)]
    group, project, role = a_group(world, "crew", *members), a_project(world, "p"), world.id_of("roles", "member")
    given(world, f"projects/{project}/groups/{group}/roles/{role}")
    tokens = [world.token(f"u{number}", scope_to("p")) for number in range(3)]
    before = entries(world)

    taken(world, f"projects/{project}/groups/{group}/roles/{role}")

    assert entries(world) == before + 1
    assert not any(lives(world, token) for token in tokens)


@pytest.mark.parametrize("place", ["domains/default", "projects/{top}"])
def test_a_role_inherited_no_more_ends_the_tokens_below(world: World, place: str) -> None:
    eve, role, top = a_user(world, "eve"), world.id_of("roles", "member"), a_project(world, "top")
    a_project(world, "leaf", parent_id=top)
    path = f"OS-INHERIT/{place.format(top=top)}/users/{eve}/roles/{role}/inherited_to_projects"
    given(world, path)
    token = world.token("eve", scope_to("leaf"))

    taken(world, path)

    assert not lives(world, token)
    assert world.log_in("eve", "eve-secret", scope_to("leaf")).status_code == 401


def test_a_role_taken_on_the_system_ends_tokens_that_carry_it(world: World) -> None:
    eve, role = a_user(world, "eve"), world.id_of("roles", "reader")
    given(world, f"system/users/{eve}/roles/{role}")
    system, unscoped = world.token("eve", {"system": {"all": True}}), world.token("eve", "unscoped")

    taken(world, f"system/users/{eve}/roles/{role}")

    assert (lives(world, system), lives(world, unscoped)) == (False, True)
