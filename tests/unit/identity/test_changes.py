"""Making and deleting projects and users, and giving and taking roles."""

from __future__ import annotations

import pytest

from tests.unit.identity.worlds import URL, World, a_project, a_user, scope_to


def test_a_project_is_made_as_keystone_makes_it(world: World) -> None:
    answer = world.http.post("/v3/projects", headers=world.as_(), json={"project": {"name": "pp1"}})

    project = answer.json()["project"]
    assert answer.status_code == 201
    assert project == {
        "id": project["id"],
        "name": "pp1",
        "domain_id": "default",
        "description": "",
        "enabled": True,
        "parent_id": "default",
        "is_domain": False,
        "tags": [],
        "options": {},
        "links": {"self": f"{URL}/projects/{project['id']}"},
    }
    assert len(project["id"]) == 32 and "-" not in project["id"]


def test_a_user_is_made_with_what_the_client_adds_and_never_shows_its_password(world: World) -> None:
    body = {"user": {"name": "pu", "password": "s3cret", "email": "pu@example.org", "description": None}}

    answer = world.http.post("/v3/users", headers=world.as_(), json=body)

    user = answer.json()["user"]
    assert answer.status_code == 201 and "s3cret" not in answer.text and "password" not in user
    assert user["email"] == "pu@example.org" and user["password_expires_at"] is None and user["options"] == {}
    assert world.get(f"/v3/users/{user['id']}", world.as_())["user"] == user


def test_the_same_name_twice_is_a_conflict(world: World) -> None:
    project = world.http.post("/v3/projects", headers=world.as_(), json={"project": {"name": "demo"}})
    user = world.http.post("/v3/users", headers=world.as_(), json={"user": {"name": "demo"}})

    assert project.status_code == user.status_code == 409
    assert project.json()["error"]["message"].startswith(
        "Conflict occurred attempting to store project - it is not permitted to have two projects with either the same "
        "name or same id in the same domain: name is demo, project id "
    )
    assert "Duplicate entry found with name demo at domain ID default" in user.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"project": {}}, "Invalid input for field/attribute project. Value: {}. 'name' is a required property"),
        ({"project": {"name": ""}}, "Invalid input for field/attribute name. Value: . '' is too short"),
        ({"project": {"name": "n" * 65}}, "is too long"),
        ({"project": {"name": "a\0b"}}, "NUL"),
        ({"project": {"name": "a", "note": "a\0b"}}, "cannot be stored"),
        ({"project": {"name": "a", "enabled": "yes"}}, "is not of type 'boolean'"),
        ({"project": {"name": 7}}, "is not of type 'string'"),
        ([], "is not of type 'object'"),
    ],
)
def test_a_bad_project_is_refused_with_keystones_sentence(world: World, body: object, message: str) -> None:
    answer = world.http.post("/v3/projects", headers=world.as_(), json=body)

    assert answer.status_code == 400 and message in answer.json()["error"]["message"]


def test_a_project_in_an_unknown_place_is_a_mistake_in_the_body(world: World) -> None:
    for fields, word in (({"domain_id": "none"}, "domain"), ({"parent_id": "none"}, "project")):
        answer = world.http.post("/v3/projects", headers=world.as_(), json={"project": {"name": "x"} | fields})
        assert answer.status_code == 400
        assert answer.json()["error"]["message"] == f"Could not find {word}: none."


def test_a_project_with_children_stays(world: World) -> None:
    parent = a_project(world, "parent")
    child = a_project(world, "child", parent_id=parent)

    refused = world.http.delete(f"/v3/projects/{parent}", headers=world.as_())
    gone = [world.http.delete(f"/v3/projects/{one}", headers=world.as_()).status_code for one in (child, parent)]

    assert refused.status_code == 403 and "not a leaf" in refused.json()["error"]["message"]
    assert gone == [204, 204]


def test_deleting_a_project_ends_its_tokens_and_roles(world: World) -> None:
    token, project = world.token("demo"), world.id_of("projects", "demo")

    answer = world.http.delete(f"/v3/projects/{project}", headers=world.as_())

    assert answer.status_code == 204
    assert world.http.get("/v3/auth/projects", headers={"x-auth-token": token}).status_code == 401
    assert world.log_in("demo", "demo-secret", scope_to("demo")).status_code == 401
    assert world.get(f"/v3/role_assignments?scope.project.id={project}", world.as_())["role_assignments"] == []


def test_deleting_a_user_ends_its_tokens(world: World) -> None:
    token, user = world.token("demo"), world.id_of("users", "demo")

    answer = world.http.delete(f"/v3/users/{user}", headers=world.as_())

    assert answer.status_code == 204
    assert world.validate(token).status_code == 404
    assert world.log_in("demo", "demo-secret").status_code == 401


@pytest.mark.parametrize("place", ["projects/{project}", "domains/default", "system"])
def test_a_role_is_given_found_and_taken(world: World, place: str) -> None:
    admin, user, role = world.as_(), a_user(world, "eve"), world.id_of("roles", "member")
    base = f"/v3/{place.format(project=world.id_of('projects', 'demo'))}/users/{user}/roles"
    path = f"{base}/{role}"

    before = world.http.head(path, headers=admin).status_code
    given = [world.http.put(path, headers=admin).status_code for _ in range(2)]
    found = world.http.head(path, headers=admin).status_code, world.http.get(path, headers=admin).status_code
    names = [one["name"] for one in world.get(base, admin)["roles"]]
    taken = [world.http.delete(path, headers=admin).status_code for _ in range(2)]

    assert (before, given, found, names, taken) == (404, [204, 204], (204, 204), ["member"], [204, 404])


def test_grants_of_unknown_things_name_what_is_unknown(world: World) -> None:
    user, project, role = (world.id_of(*one) for one in (("users", "demo"), ("projects", "demo"), ("roles", "member")))
    paths = {
        "role: zzz": f"/v3/projects/{project}/users/{user}/roles/zzz",
        "user: zzz": f"/v3/projects/{project}/users/zzz/roles/{role}",
        "project: zzz": f"/v3/projects/zzz/users/{user}/roles/{role}",
    }

    for missing, path in paths.items():
        answer = world.http.put(path, headers=world.as_())
        assert answer.status_code == 404 and answer.json()["error"]["message"] == f"Could not find {missing}."


def test_a_taken_role_ends_the_tokens_that_carry_it(world: World) -> None:
    token, user, project = world.token("demo"), world.id_of("users", "demo"), world.id_of("projects", "demo")
    role = world.id_of("roles", "member")

    world.http.delete(f"/v3/projects/{project}/users/{user}/roles/{role}", headers=world.as_())

    assert world.http.get("/v3/auth/projects", headers={"x-auth-token": token}).status_code == 401
    roles = world.log_in("demo", "demo-secret", scope_to("demo")).json()["token"]["roles"]
    assert [one["name"] for one in roles] == ["reader"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v3/projects"),
        ("POST", "/v3/users"),
        ("DELETE", "/v3/projects/x"),
        ("DELETE", "/v3/users/x"),
        ("PUT", "/v3/projects/x/users/y/roles/z"),
        ("PUT", "/v3/system/users/y/roles/z"),
        ("DELETE", "/v3/domains/x/users/y/roles/z"),
    ],
)
def test_an_ordinary_member_changes_nothing(world: World, method: str, path: str) -> None:
    answer = world.http.request(method, path, headers=world.as_("demo"), json={})

    assert answer.status_code == 403
