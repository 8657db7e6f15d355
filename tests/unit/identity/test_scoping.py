"""Which roles a token carries: given to the user or its groups, inherited from above, implied."""

from __future__ import annotations

import pytest

from tests.unit.identity.worlds import World, a_group, a_project, a_user, given


def carried(world: World, scope: object, name: str = "eve") -> set[str] | int:
    """Role names of a fresh token, or the status of the refusal."""
    answer = world.log_in(name, f"{name}-secret", scope)
    return (
        {role["name"] for role in answer.json()["token"]["roles"]} if answer.status_code == 201 else answer.status_code
    )


def on(project: str) -> dict[str, object]:
    return {"project": {"id": project}}


DOMAIN = {"domain": {"id": "default"}}
SYSTEM = {"system": {"all": True}}


def test_a_group_brings_its_roles_to_its_members(world: World) -> None:
    group, project = a_group(world, "crew", a_user(world, "eve")), a_project(world, "p")
    member, reader = world.id_of("roles", "member"), world.id_of("roles", "reader")

    given(world, f"projects/{project}/groups/{group}/roles/{member}")
    given(world, f"domains/default/groups/{group}/roles/{reader}")
    given(world, f"system/groups/{group}/roles/{reader}")

    assert carried(world, on(project)) == {"member", "reader"}
    assert carried(world, DOMAIN) == carried(world, SYSTEM) == {"reader"}
    unscoped = {"x-auth-token": world.log_in("eve", "eve-secret").headers["x-subject-token"]}
    assert [one["id"] for one in world.get("/v3/auth/projects", unscoped)["projects"]] == [project]
    assert [one["id"] for one in world.get("/v3/auth/domains", unscoped)["domains"]] == ["default"]
    assert world.get("/v3/auth/system", unscoped)["system"] == [{"all": True}]


@pytest.mark.parametrize("actor", ["users", "groups"])
def test_an_inherited_role_counts_below_and_not_in_the_place_itself(world: World, actor: str) -> None:
    user = a_user(world, "eve")
    who = {"users": user, "groups": a_group(world, "crew", user)}[actor]
    top = a_project(world, "top")
    child = a_project(world, "child", parent_id=top)
    leaf, beside = a_project(world, "leaf", parent_id=child), a_project(world, "beside")

    given(
        world, f"OS-INHERIT/projects/{top}/{actor}/{who}/roles/{world.id_of('roles', 'member')}/inherited_to_projects"
    )

    assert carried(world, on(child)) == carried(world, on(leaf)) == {"member", "reader"}
    assert carried(world, on(top)) == carried(world, on(beside)) == 401
    unscoped = {"x-auth-token": world.log_in("eve", "eve-secret").headers["x-subject-token"]}
    assert {one["id"] for one in world.get("/v3/auth/projects", unscoped)["projects"]} == {child, leaf}
    assert {one["id"] for one in world.get(f"/v3/users/{user}/projects", unscoped)["projects"]} == {child, leaf}


def test_a_role_inherited_from_a_domain_counts_on_all_its_projects_and_not_on_the_domain(world: World) -> None:
    user, project = a_user(world, "eve"), a_project(world, "p")
    leaf = a_project(world, "leaf", parent_id=project)

    given(
        world, f"OS-INHERIT/domains/default/users/{user}/roles/{world.id_of('roles', 'reader')}/inherited_to_projects"
    )

    assert carried(world, on(project)) == carried(world, on(leaf)) == {"reader"}
    assert carried(world, DOMAIN) == 401
