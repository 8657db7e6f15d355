"""The list of role assignments: filters, and what assignments amount to."""

from __future__ import annotations

from typing import Any

import pytest

from common.db.counting import counted
from services.identity.db.tables import Domain
from tests.unit.identity.worlds import URL, Headers, World, a_group, a_project, a_role, a_user, given, scope_to

Rows = list[dict[str, Any]]


def listed(world: World, query: str, headers: Headers | None = None) -> Rows:
    rows: Rows = world.get(f"/v3/role_assignments?{query}", headers or world.as_())["role_assignments"]
    return rows


def test_assignments_of_groups_and_inherited_ones_show_as_they_were_made(world: World) -> None:
    group, project, role = a_group(world, "crew"), a_project(world, "p"), world.id_of("roles", "member")
    given(world, f"OS-INHERIT/projects/{project}/groups/{group}/roles/{role}/inherited_to_projects")

    [found] = listed(world, f"group.id={group}")
    [named] = listed(world, f"group.id={group}&include_names")

    assert found == {
        "links": {
            "assignment": f"{URL}/OS-INHERIT/projects/{project}/groups/{group}/roles/{role}/inherited_to_projects"
        },
        "scope": {"project": {"id": project}, "OS-INHERIT:inherited_to": "projects"},
        "group": {"id": group},
        "role": {"id": role},
    }
    assert named["group"] == {"id": group, "name": "crew", "domain": {"id": "default", "name": "Default"}}
    assert listed(world, f"scope.project.id={project}&scope.OS-INHERIT:inherited_to=projects") == [found]
    assert listed(world, f"scope.project.id={project}&scope.OS-INHERIT:inherited_to=none") == []


def test_effective_ones_are_those_of_the_members_on_the_projects_below(world: World) -> None:
    eve, dan = a_user(world, "eve"), a_user(world, "dan")
    group, role = a_group(world, "crew", eve, dan), world.id_of("roles", "reader")
    top = a_project(world, "top")
    child = a_project(world, "child", parent_id=top)
    leaf = a_project(world, "leaf", parent_id=child)
    given(world, f"OS-INHERIT/projects/{top}/groups/{group}/roles/{role}/inherited_to_projects")

    found = listed(world, f"effective&role.id={role}&scope.project.id={leaf}&user.id={eve}")
    on_projects = [one for one in listed(world, f"effective&role.id={role}") if "project" in one["scope"]]
    places = {(one["user"]["id"], one["scope"]["project"]["id"]) for one in on_projects}

    assert found == [
        {
            "links": {
                "assignment": f"{URL}/OS-INHERIT/projects/{top}/groups/{group}/roles/{role}/inherited_to_projects",
                "membership": f"{URL}/groups/{group}/users/{eve}",
            },
            "scope": {"project": {"id": leaf}, "OS-INHERIT:inherited_to": "projects"},
            "user": {"id": eve},
            "role": {"id": role},
        }
    ]
    assert places >= {(user, project) for user in (eve, dan) for project in (child, leaf)}
    assert listed(world, f"effective&scope.project.id={top}") == []


def test_a_role_inherited_from_a_domain_shows_on_its_projects(world: World) -> None:
    eve, role, project = a_user(world, "eve"), a_role(world, "cook"), a_project(world, "p")
    given(world, f"OS-INHERIT/domains/default/users/{eve}/roles/{role}/inherited_to_projects")

    everywhere = listed(world, f"effective&user.id={eve}&include_names")
    [here] = listed(world, f"effective&user.id={eve}&scope.project.id={project}")

    assert {one["scope"]["project"]["name"] for one in everywhere} == {"admin", "demo", "service", "p"}
    path = f"domains/default/users/{eve}/roles/{role}/inherited_to_projects"
    assert here["links"] == {"assignment": f"{URL}/OS-INHERIT/{path}"}
    assert listed(world, f"effective&user.id={eve}&scope.domain.id=default") == []


def test_an_implied_role_names_the_one_that_brings_it(world: World) -> None:
    chef, cook, eve, project = a_role(world, "chef"), a_role(world, "cook"), a_user(world, "eve"), a_project(world, "p")
    given(world, f"roles/{chef}/implies/{cook}")
    given(world, f"projects/{project}/users/{eve}/roles/{chef}")

    [one] = listed(world, f"effective&role.id={cook}")

    assert one["links"] == {
        "assignment": f"{URL}/projects/{project}/users/{eve}/roles/{chef}",
        "prior_role": f"{URL}/prior_role/{chef}/implies/{cook}",
    }


def test_a_domains_own_role_shows_as_given_and_not_as_effective(world: World) -> None:
    own, eve, project = a_role(world, "own", domain_id="default"), a_user(world, "eve"), a_project(world, "p")
    given(world, f"projects/{project}/users/{eve}/roles/{own}")

    [one] = listed(world, f"user.id={eve}&include_names")

    assert one["role"] == {"id": own, "name": "own", "domain": {"id": "default", "name": "Default"}}
    assert listed(world, f"effective&user.id={eve}") == []


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("user.id=x&group.id=y", "Specify a user or group, not both"),
        ("scope.project.id=x&scope.domain.id=y", "Specify a domain or project, not both"),
        ("scope.system=all&scope.domain.id=y", "Specify system or domain, not both"),
        ("scope.system=all&scope.project.id=y", "Specify system or project, not both"),
        ("effective&group.id=x", "Combining effective and group filter will always result in an empty list."),
        (
            "effective&scope.domain.id=x&scope.OS-INHERIT:inherited_to=projects",
            "Combining effective, domain and inherited filters will always result in an empty list.",
        ),
        ("include_subtree", "scope.project.id must be specified if include_subtree is also specified"),
    ],
)
def test_filters_that_cannot_meet_are_refused(world: World, query: str, sentence: str) -> None:
    answer = world.http.get(f"/v3/role_assignments?{query}", headers=world.as_())

    assert answer.status_code == 400 and answer.json()["error"]["message"] == sentence


def test_a_subtree_is_the_project_and_all_below_it(world: World) -> None:
    eve, role, top = a_user(world, "eve"), a_role(world, "cook"), a_project(world, "top")
    leaf = a_project(world, "leaf", parent_id=top)
    given(world, f"projects/{leaf}/users/{eve}/roles/{role}")
    given(world, f"OS-INHERIT/projects/{top}/users/{eve}/roles/{role}/inherited_to_projects")
    tree = f"scope.project.id={top}&include_subtree"

    assert [one["scope"]["project"]["id"] for one in listed(world, f"{tree}&user.id={eve}&effective")] == [leaf, leaf]
    assert len(listed(world, tree)) == 2
    assert len(listed(world, f"scope.project.id={top}")) == 1
    assert (
        world.http.get("/v3/role_assignments?include_subtree&scope.project.id=x", headers=world.as_()).status_code
        == 404
    )


def test_a_reader_of_a_domain_sees_what_concerns_it_only(world: World) -> None:
    with world.kit.database.transaction() as session:
        session.add(Domain(id="other", name="Other", description=None, enabled=True, options={}, extra={}))
    eve, role = a_user(world, "eve"), world.id_of("roles", "reader")
    project = a_project(world, "p", domain_id="other")
    given(world, f"domains/other/users/{eve}/roles/{role}")
    given(world, f"projects/{project}/users/{eve}/roles/{role}")
    reader = world.as_("eve", {"domain": {"id": "other"}})

    assert {next(iter(one["scope"])) for one in listed(world, "", reader)} == {"domain", "project"}
    assert len(listed(world, "", reader)) == 2
    assert len(listed(world, f"include_subtree&scope.project.id={project}", reader)) == 1
    foreign = f"/v3/role_assignments?include_subtree&scope.project.id={world.id_of('projects', 'demo')}"
    assert world.http.get(foreign, headers=reader).status_code == 403


def test_the_number_of_queries_does_not_grow_with_groups_and_trees(world: World) -> None:
    admin, role = world.as_(), world.id_of("roles", "member")

    def add(number: int) -> None:
        group = a_group(world, f"g{number}", a_user(world, f"u{number}"))
        top = a_project(world, f"t{number}")
        a_project(world, f"l{number}", parent_id=top)
        given(world, f"OS-INHERIT/projects/{top}/groups/{group}/roles/{role}/inherited_to_projects")

    def queries() -> int:
        with counted(world.kit.database) as sent:
            listed(world, "effective&include_names", admin)
        return len(sent)

    add(0)
    queries()  # the first check of a token also fetches the keys
    before = queries()
    for number in range(1, 4):
        add(number)

    assert queries() == before <= 6


def test_a_demo_user_may_not_look(world: World) -> None:
    for query in ("", "include_subtree&scope.project.id=" + world.id_of("projects", "demo")):
        answer = world.http.get(f"/v3/role_assignments?{query}", headers=world.as_("demo", scope_to("demo")))
        assert answer.status_code == 403
