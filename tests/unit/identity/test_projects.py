"""Projects: their tree, their tags, and what may change."""

from __future__ import annotations

import pytest

from common.db.counting import counted
from tests.unit.identity.worlds import URL, World, a_domain, a_project, given, scope_to


def changed(world: World, project: str, **fields: object) -> tuple[int, str]:
    answer = world.http.patch(f"/v3/projects/{project}", headers=world.as_(), json={"project": fields})
    return answer.status_code, answer.json().get("error", {}).get("message", "")


def test_what_is_named_changes_and_the_rest_stays(world: World) -> None:
    project = a_project(world, "p", description="old", note="kept", tags=["a"])

    status, _ = changed(world, project, name="q", more=1)

    found = world.get(f"/v3/projects/{project}", world.as_())["project"]
    assert status == 200
    assert (found["name"], found["description"], found["note"], found["more"]) == ("q", "old", "kept", 1)
    assert found["tags"] == ["a"] and found["enabled"] is True


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({}, 400, "should be non-empty"),
        ({"id": "other"}, 400, "Cannot change ID"),
        ({"domain_id": "other"}, 400, "Cannot change Domain ID"),
        ({"parent_id": "other"}, 403, "Update of `parent_id` is not allowed."),
        ({"is_domain": True}, 400, "Update of `is_domain` is not allowed."),
        ({"name": "demo"}, 409, "name is demo"),
        ({"enabled": "no"}, 400, "is not of type 'boolean'"),
        ({"tags": ["a", "a"]}, 400, "non-unique"),
        ({"options": {"unknown": True}}, 400, "unknown"),
    ],
)
def test_some_changes_are_refused_in_keystones_words(
    world: World, fields: dict[str, object], status: int, message: str
) -> None:
    found = changed(world, a_project(world, "p"), **fields)

    assert found[0] == status and message in found[1]


def test_a_disabled_project_ends_its_tokens(world: World) -> None:
    token = world.token("demo")

    assert changed(world, world.id_of("projects", "demo"), enabled=False)[0] == 200

    assert world.validate(token).status_code == 404
    assert world.log_in("demo", "demo-secret", scope_to("demo")).status_code == 401


def test_a_branch_is_disabled_from_the_leaves_and_enabled_from_the_root(world: World) -> None:
    top = a_project(world, "top")
    leaf = a_project(world, "leaf", parent_id=top)

    refused = changed(world, top, enabled=False)
    assert refused == (403, f"Cannot disable project {top} since its subtree contains enabled projects.")
    assert [changed(world, one, enabled=False)[0] for one in (leaf, top)] == [200, 200]

    refused = changed(world, leaf, enabled=True)
    assert refused == (403, f"Cannot enable project {leaf} since it has disabled parents")
    assert [changed(world, one, enabled=True)[0] for one in (top, leaf)] == [200, 200]


def test_an_immutable_project_stays_as_it_is(world: World) -> None:
    project = a_project(world, "p", options={"immutable": True})

    status, message = changed(world, project, name="q")

    assert status == 403
    assert message == (
        f'Unable to update immutable project resource: `{project}. Set resource option "immutable" to false first.'
    )
    assert world.http.delete(f"/v3/projects/{project}", headers=world.as_()).status_code == 403
    assert changed(world, project, options={"immutable": False})[0] == 200
    assert world.http.delete(f"/v3/projects/{project}", headers=world.as_()).status_code == 204


def test_a_tree_has_five_levels_and_no_more(world: World) -> None:
    parent: str | None = None
    for level in range(5):
        parent = a_project(world, f"p{level}", parent_id=parent)

    body = {"project": {"name": "p5", "parent_id": parent}}
    answer = world.http.post("/v3/projects", headers=world.as_(), json=body)

    assert answer.status_code == 403
    assert answer.json()["error"]["message"] == f"Max hierarchy depth reached for {parent} branch."


def test_nothing_is_made_below_what_is_disabled_or_elsewhere(world: World) -> None:
    off, domain = a_project(world, "off", enabled=False), a_domain(world, "d1")
    bodies = (
        ({"parent_id": off}, f"cannot create a project in a branch containing a disabled project: {off}"),
        ({"parent_id": domain}, "is acting as a domain, but this project's domain id"),
        ({"parent_id": off, "domain_id": domain}, "specifies a parent in a different domain (default)."),
    )

    for fields, message in bodies:
        answer = world.http.post("/v3/projects", headers=world.as_(), json={"project": {"name": "x"} | fields})
        assert answer.status_code == 400 and message in answer.json()["error"]["message"]


def test_a_project_shows_its_tree_as_ids_and_as_a_list_of_what_the_caller_has_a_role_on(world: World) -> None:
    admin, user, role = world.as_(), world.id_of("users", "admin"), world.id_of("roles", "member")
    top = a_project(world, "top")
    middle = a_project(world, "middle", parent_id=top)
    leaves = [a_project(world, name, parent_id=middle) for name in ("one", "two")]
    for project in (top, leaves[0]):
        given(world, f"projects/{project}/users/{user}/roles/{role}")

    def tree(query: str) -> dict[str, object]:
        found = world.get(f"/v3/projects/{middle}?{query}", admin)["project"]
        return {name: found[name] for name in ("parents", "subtree") if name in found}

    assert tree("parents_as_ids&subtree_as_ids") == {
        "parents": {top: {"default": None}},
        "subtree": dict.fromkeys(leaves),
    }
    lists = tree("parents_as_list&subtree_as_list=true")
    assert lists == {
        "parents": [world.get(f"/v3/projects/{top}", admin)["project"]],
        "subtree": [world.get(f"/v3/projects/{leaves[0]}", admin)["project"]],
    }
    assert tree("parents_as_ids=false") == {}
    both = world.http.get(f"/v3/projects/{middle}?parents_as_ids&parents_as_list", headers=admin)
    assert both.status_code == 400


def test_a_project_that_is_deleted_leaves_no_default_behind(world: World) -> None:
    project, admin, user = a_project(world, "p", tags=["t"]), world.as_(), world.id_of("users", "demo")
    world.http.patch(f"/v3/users/{user}", headers=admin, json={"user": {"default_project_id": project}})

    assert world.http.delete(f"/v3/projects/{project}", headers=admin).status_code == 204
    assert "default_project_id" not in world.get(f"/v3/users/{user}", admin)["user"]


def test_tags_are_listed_replaced_added_and_removed(world: World) -> None:
    path, admin = f"/v3/projects/{a_project(world, 'p')}/tags", world.as_()

    replaced = world.http.put(path, headers=admin, json={"tags": ["b", "a"]})
    added = world.http.put(f"{path}/c d", headers=admin)
    statuses = [world.http.head(f"{path}/{tag}", headers=admin).status_code for tag in ("a", "c d", "z")]
    removed = [world.http.delete(f"{path}/{tag}", headers=admin).status_code for tag in ("a", "a")]
    left = world.get(path, admin)

    assert replaced.json() == {"links": {"self": URL + path.removeprefix("/v3")}, "tags": ["a", "b"]}
    assert added.status_code == 201 and added.content == b""
    assert added.headers["location"] == f"{URL}{path.removeprefix('/v3')}/c%20d"
    assert (statuses, removed, left["tags"]) == ([204, 204, 404], [204, 404], ["b", "c d"])
    assert world.http.delete(path, headers=admin).status_code == 204
    assert world.get(path, admin)["tags"] == []


@pytest.mark.parametrize("tag", ["a,b", "n" * 256])
def test_a_bad_tag_is_refused(world: World, tag: str) -> None:
    path, admin = f"/v3/projects/{a_project(world, 'p')}/tags", world.as_()

    assert world.http.put(f"{path}/{tag}", headers=admin).status_code == 400
    assert world.http.put(path, headers=admin, json={"tags": [tag]}).status_code == 400


def test_a_project_has_eighty_tags_at_most(world: World) -> None:
    path, admin = f"/v3/projects/{a_project(world, 'p')}/tags", world.as_()

    assert world.http.put(path, headers=admin, json={"tags": [str(n) for n in range(80)]}).status_code == 200
    assert world.http.put(f"{path}/0", headers=admin).status_code == 201
    assert world.http.put(f"{path}/more", headers=admin).status_code == 400


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("tags=a,b", ["both"]),
        ("tags-any=a,b", ["both", "only-a"]),
        ("not-tags=a,b", ["none", "only-a"]),
        ("not-tags-any=a,b", ["none"]),
        ("tags-any=a&not-tags=b", ["only-a"]),
    ],
)
@pytest.mark.parametrize("is_domain", [False, True])
def test_lists_are_filtered_by_tags(world: World, query: str, names: list[str], is_domain: bool) -> None:
    make = a_domain if is_domain else a_project
    for name, tags in (("both", ["a", "b"]), ("only-a", ["a"]), ("none", list[str]())):
        make(world, name, tags=tags)

    found = world.get(f"/v3/projects?{query}&is_domain={is_domain}", world.as_())["projects"]

    assert sorted(one["name"] for one in found if one["name"] in ("both", "only-a", "none")) == names


def test_trees_and_lists_of_domains_cost_a_constant_number_of_queries(world: World) -> None:
    admin, top = world.as_(), a_project(world, "top")
    paths = ("/v3/domains", "/v3/projects?is_domain=true&tags-any=a", f"/v3/projects/{top}?subtree_as_list")

    def queries() -> list[int]:
        found = []
        for path in paths:
            with counted(world.kit.database) as sent:
                world.get(path, admin)
            found.append(len(sent))
        return found

    queries()
    before = queries()
    for number in range(4):
        a_project(world, f"p{number}", parent_id=top)
        a_domain(world, f"d{number}", tags=["a"])

    assert queries() == before
