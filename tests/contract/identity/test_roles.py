"""Roles by groups, from above and implied mean the same in SQLite and in PostgreSQL."""

from __future__ import annotations

from tests.contract.identity.test_databases import cloud
from tests.unit.identity.worlds import World, a_group, a_project, a_role, a_user, given, scope_to

__all__ = ["cloud"]


def test_roles_are_inherited_through_groups_and_end_with_what_gives_them(cloud: World) -> None:
    group = a_group(cloud, "crew", a_user(cloud, "eve"))
    top = a_project(cloud, "top")
    leaf = a_project(cloud, "leaf", parent_id=top)
    role = cloud.id_of("roles", "member")
    path = f"OS-INHERIT/projects/{top}/groups/{group}/roles/{role}/inherited_to_projects"
    given(cloud, path)

    token = cloud.token("eve", scope_to("leaf"))
    unscoped = cloud.as_("eve", "unscoped")
    rows = [
        cloud.get(f"/v3/role_assignments?effective&include_names&{query}", cloud.as_())["role_assignments"]
        for query in (f"scope.project.id={leaf}", f"scope.project.id={top}&include_subtree", f"role.id={role}")
    ]

    assert [one["id"] for one in cloud.get("/v3/auth/projects", unscoped)["projects"]] == [leaf]
    assert {one["role"]["name"] for one in rows[0]} == {"member", "reader"}
    assert rows[0] == rows[1] and rows[2]
    assert cloud.http.delete(f"/v3/{path}", headers=cloud.as_()).status_code == 204
    assert cloud.validate(token).status_code == 404


def test_a_role_is_taken_once_in_its_domain_and_goes_with_all_that_gives_it(cloud: World) -> None:
    admin, role = cloud.as_(), a_role(cloud, "cook")
    given(cloud, f"projects/{a_project(cloud, 'p')}/users/{a_user(cloud, 'eve')}/roles/{role}")
    given(cloud, f"roles/{role}/implies/{cloud.id_of('roles', 'reader')}")

    again = cloud.http.post("/v3/roles", headers=admin, json={"role": {"name": "cook"}})
    gone = cloud.http.delete(f"/v3/roles/{role}", headers=admin)

    assert (again.status_code, gone.status_code) == (409, 204)
    assert cloud.get(f"/v3/role_assignments?role.id={role}", admin)["role_assignments"] == []
