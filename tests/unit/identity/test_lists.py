"""Lists and shows: filters, pages, links, and who may see what."""

from __future__ import annotations

import pytest

from common.db.counting import counted
from tests.unit.identity.worlds import URL, World, a_project, a_user, scope_to


def test_a_list_pages_by_marker_and_says_that_there_is_more(world: World) -> None:
    admin = world.as_()

    first = world.get("/v3/projects?limit=2", admin)
    second = world.get(first["links"]["next"].removeprefix("http://cloud.test/identity"), admin)

    marker = first["projects"][-1]["id"]
    assert first["truncated"] is True and len(first["projects"]) == 2
    assert first["links"] == {
        "next": f"{URL}/projects?limit=2&marker={marker}",
        "self": f"{URL}/projects?limit=2",
        "previous": None,
    }
    assert second["links"]["next"] is None and "truncated" not in second
    assert {one["name"] for one in first["projects"] + second["projects"]} == {"admin", "service", "demo"}


@pytest.mark.parametrize("limit", ["-1", "x", "1.5", "9" * 30])
def test_a_limit_that_is_no_number_is_refused(world: World, limit: str) -> None:
    answer = world.http.get(f"/v3/users?limit={limit}", headers=world.as_())

    assert answer.status_code == 400 and "limit" in answer.json()["error"]["message"]


def test_filters_narrow_a_list(world: World) -> None:
    a_user(world, "off", enabled=False)
    admin = world.as_()

    assert [one["name"] for one in world.get("/v3/users?enabled=False", admin)["users"]] == ["off"]
    assert [one["name"] for one in world.get("/v3/users?name=demo&domain_id=default", admin)["users"]] == ["demo"]
    assert world.get("/v3/users?domain_id=other", admin)["users"] == []
    assert world.get("/v3/roles?domain_id=default", admin)["roles"] == []


def test_a_list_takes_a_constant_number_of_queries(world: World) -> None:
    admin = world.as_()
    paths = ("/v3/users", "/v3/projects", "/v3/role_assignments?include_names", "/v3/role_assignments?effective")

    def queries() -> list[int]:
        found = []
        for path in paths:
            with counted(world.kit.database) as sent:
                world.get(path, admin)
            found.append(len(sent))
        return found

    queries()  # the first check of a token also fetches the keys
    before = queries()
    role = world.id_of("roles", "member")
    for number in range(5):
        project, user = a_project(world, f"p{number}"), a_user(world, f"u{number}")
        world.http.put(f"/v3/projects/{project}/users/{user}/roles/{role}", headers=admin)

    assert queries() == before
    assert max(before) <= 3


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/v3/users/none", "user"),
        ("/v3/projects/none", "project"),
        ("/v3/domains/none", "domain"),
        ("/v3/roles/none", "role"),
        ("/v3/services/none", "service"),
        ("/v3/endpoints/none", "endpoint"),
        ("/v3/regions/none", "region"),
        ("/v3/groups/none", "group"),
        ("/v3/users/none/projects", "user"),
    ],
)
def test_what_is_not_there_is_not_found_in_keystones_words(world: World, path: str, word: str) -> None:
    answer = world.http.get(path, headers=world.as_())

    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == f"Could not find {word}: none."


@pytest.mark.parametrize("plural", ["domains", "projects", "users", "roles", "services", "endpoints", "regions"])
def test_each_row_of_a_list_can_be_shown_at_its_own_link(world: World, plural: str) -> None:
    admin = world.as_()

    for row in world.get(f"/v3/{plural}", admin)[plural]:
        shown = world.get(row["links"]["self"].removeprefix("http://cloud.test/identity"), admin)
        assert shown == {plural.removesuffix("s"): row}


@pytest.mark.parametrize(
    "path",
    [
        "/v3/users", "/v3/projects", "/v3/domains", "/v3/groups", "/v3/roles", "/v3/services", "/v3/endpoints",
        "/v3/role_assignments", "/v3/users/none", "/v3/projects/none", "/v3/OS-REVOKE/events",
    ],
)  # fmt: skip
def test_an_ordinary_member_may_not_look_around(world: World, path: str) -> None:
    answer = world.http.get(path, headers=world.as_("demo"))

    assert answer.status_code == 403
    assert answer.json()["error"]["message"].startswith(
        "You are not authorized to perform the requested action: identity:"
    )


def test_an_ordinary_member_sees_its_own_things(world: World) -> None:
    user, project, demo = world.id_of("users", "demo"), world.id_of("projects", "demo"), world.as_("demo")

    assert world.get(f"/v3/users/{user}", demo)["user"]["name"] == "demo"
    assert world.get(f"/v3/projects/{project}", demo)["project"]["name"] == "demo"
    assert [one["id"] for one in world.get(f"/v3/users/{user}/projects", demo)["projects"]] == [project]
    assert world.get("/v3/domains/default", demo)["domain"]["name"] == "Default"
    assert world.get("/v3/regions", demo)["regions"][0]["id"] == "RegionOne"
    assert world.http.get(f"/v3/users/{world.id_of('users', 'admin')}", headers=demo).status_code == 403
    assert world.http.get(f"/v3/projects/{world.id_of('projects', 'admin')}", headers=demo).status_code == 403


def test_a_reader_of_a_domain_sees_what_lives_in_it_and_nothing_else(world: World) -> None:
    role, user = world.id_of("roles", "reader"), world.id_of("users", "demo")
    world.http.put(f"/v3/domains/default/users/{user}/roles/{role}", headers=world.as_())
    reader = world.as_("demo", {"domain": {"id": "default"}})

    assert len(world.get("/v3/projects", reader)["projects"]) == 3
    assert world.get("/v3/role_assignments", reader)["role_assignments"]
    assert world.http.get("/v3/users?domain_id=other", headers=reader).status_code == 403
    assert world.http.get("/v3/services", headers=reader).status_code == 403


def test_ones_own_projects_domains_and_system(world: World) -> None:
    unscoped = world.as_("demo", "unscoped")
    admin = world.as_()

    assert [one["name"] for one in world.get("/v3/auth/projects", unscoped)["projects"]] == ["demo"]
    assert world.get("/v3/auth/domains", unscoped)["domains"] == []
    assert world.get("/v3/auth/system", unscoped)["system"] == []
    assert world.get("/v3/auth/system", admin)["system"] == [{"all": True}]
    assert len(world.get("/v3/auth/catalog", admin)["catalog"]) == 4
    assert world.http.get("/v3/auth/catalog", headers=unscoped).status_code == 403


def test_role_assignments_tell_who_has_what_where(world: World) -> None:
    user, project = world.id_of("users", "demo"), world.id_of("projects", "demo")
    role = world.id_of("roles", "member")

    plain = world.get(f"/v3/role_assignments?user.id={user}&role.id={role}", world.as_())["role_assignments"]
    named = world.get(f"/v3/role_assignments?user.id={user}&role.id={role}&include_names=True", world.as_())

    default = {"id": "default", "name": "Default"}
    assert plain == [
        {
            "links": {"assignment": f"{URL}/projects/{project}/users/{user}/roles/{role}"},
            "scope": {"project": {"id": project}},
            "user": {"id": user},
            "role": {"id": role},
        }
    ]
    [one] = named["role_assignments"]
    assert one["user"] == {"id": user, "name": "demo", "domain": default}
    assert one["scope"] == {"project": {"id": project, "name": "demo", "domain": default}}
    assert one["role"] == {"id": role, "name": "member"}


def test_effective_role_assignments_include_the_implied_ones_once(world: World) -> None:
    query = f"/v3/role_assignments?effective&include_names&user.id={world.id_of('users', 'admin')}"

    found = world.get(query + "&scope.system=all", world.as_())["role_assignments"]

    assert sorted(one["role"]["name"] for one in found) == ["admin", "manager", "member", "reader"]
    assert all(one["scope"] == {"system": {"all": True}} for one in found)
    assert sum("prior_role" in one["links"] for one in found) == 3


def test_versions_need_no_token(world: World) -> None:
    root, version, slash = (world.http.get(path, follow_redirects=False) for path in ("/", "/v3", "/v3/"))

    [value] = root.json()["versions"]["values"]
    assert root.status_code == 300 and root.headers["location"] == f"{URL}/"
    assert value["id"] == "v3.14" and value["links"] == [{"rel": "self", "href": f"{URL}/"}]
    assert version.status_code == slash.status_code == 200
    assert version.json() == slash.json() == {"version": value}


def test_unknown_paths_and_methods_get_a_plain_page(world: World) -> None:
    unknown, wrong = world.http.get("/v3/nothing"), world.http.patch("/v3/users")

    assert unknown.status_code == 404 and unknown.headers["content-type"] == "text/html; charset=utf-8"
    assert len(unknown.content) == 207 and unknown.headers["vary"] == "X-Auth-Token"
    assert wrong.status_code == 405 and set(wrong.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}


def test_a_scoped_admin_is_admin_whatever_its_project(world: World) -> None:
    project = a_project(world, "elsewhere")
    user, role = world.id_of("users", "demo"), world.id_of("roles", "admin")
    world.http.put(f"/v3/projects/{project}/users/{user}/roles/{role}", headers=world.as_())

    assert len(world.get("/v3/projects", world.as_("demo", scope_to("elsewhere")))["projects"]) == 4
