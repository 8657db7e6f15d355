"""Groups, who is in them, and what members lose with them."""

from __future__ import annotations

from typing import Any

import pytest

from common.db.counting import counted
from services.identity.api import lost_roles
from tests.unit.identity.worlds import URL, World, a_user, scope_to


def a_group(world: World, name: str, **fields: object) -> str:
    answer = world.http.post("/v3/groups", headers=world.as_(), json={"group": {"name": name} | fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["group"]["id"])


def put(world: World, path: str) -> None:
    answer = world.http.put(f"/v3/{path}", headers=world.as_())
    assert answer.status_code == 204, answer.text


def message(answer: Any) -> str:
    return str(answer.json()["error"]["message"])


def a_member(world: World, group: str, name: str) -> str:
    """Who may log in for project demo because of the group."""
    user, role = a_user(world, name), world.id_of("roles", "member")
    put(world, f"groups/{group}/users/{user}")
    put(world, f"projects/{world.id_of('projects', 'demo')}/groups/{group}/roles/{role}")
    return user


def is_good(world: World, token: str) -> bool:
    return world.http.get("/v3/auth/projects", headers={"x-auth-token": token}).status_code == 200


def test_a_group_is_made_shown_changed_and_deleted(world: World) -> None:
    made = world.http.post("/v3/groups", headers=world.as_(), json={"group": {"name": " ops ", "team": 7}})
    group = made.json()["group"]
    path = f"/v3/groups/{group['id']}"

    changed = world.http.patch(path, headers=world.as_(), json={"group": {"description": "on call"}})
    gone = world.http.delete(path, headers=world.as_())

    assert (made.status_code, changed.status_code, gone.status_code) == (201, 200, 204)
    assert group == {
        "id": group["id"],
        "name": "ops",
        "domain_id": "default",
        "description": "",
        "team": 7,
        "links": {"self": f"{URL}/groups/{group['id']}"},
    }
    assert changed.json()["group"] == group | {"description": "on call"}
    assert world.http.get(path, headers=world.as_()).status_code == 404


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({}, 400, "should be non-empty"),
        ({"name": ""}, 400, "too short"),
        ({"name": "n" * 65}, 400, "too long"),
        ({"name": "two"}, 409, "Duplicate entry found with name two at domain ID default."),
        ({"id": "other"}, 400, "Cannot change ID"),
        ({"domain_id": "other"}, 400, "Cannot change Domain ID"),
        ({"description": 7}, 400, "is not of type 'string'"),
        ({"team": "\0"}, 400, "cannot be stored"),
    ],
)
def test_a_change_that_cannot_be_is_refused(world: World, fields: dict[str, object], status: int, said: str) -> None:
    group, _ = a_group(world, "one"), a_group(world, "two")

    answer = world.http.patch(f"/v3/groups/{group}", headers=world.as_(), json={"group": fields})

    assert answer.status_code == status and said in message(answer)


def test_what_cannot_be_made_is_refused(world: World) -> None:
    a_group(world, "ops")

    twice = world.http.post("/v3/groups", headers=world.as_(), json={"group": {"name": "ops"}})
    nowhere = world.http.post("/v3/groups", headers=world.as_(), json={"group": {"name": "x", "domain_id": "none"}})
    nameless = world.http.post("/v3/groups", headers=world.as_(), json={"group": {}})

    assert (twice.status_code, nowhere.status_code, nameless.status_code) == (409, 404, 400)


def test_users_enter_are_found_and_leave(world: World) -> None:
    group, user, admin = a_group(world, "ops"), a_user(world, "ann"), world.as_()
    path = f"/v3/groups/{group}/users/{user}"

    before = world.http.head(path, headers=admin).status_code
    entered = [world.http.put(path, headers=admin).status_code for _ in range(2)]
    found = world.http.head(path, headers=admin).status_code, world.http.get(path, headers=admin).status_code
    members = world.get(f"/v3/groups/{group}/users", admin)["users"]
    of_ann = world.get(f"/v3/users/{user}/groups", admin)["groups"]
    left = [world.http.delete(path, headers=admin) for _ in range(2)]

    assert (before, entered, found) == (404, [204, 204], (204, 204))
    assert members == [world.get(f"/v3/users/{user}", admin)["user"]]
    assert of_ann == [world.get(f"/v3/groups/{group}", admin)["group"] | {"membership_expires_at": None}]
    assert [one.status_code for one in left] == [204, 404]
    assert message(left[1]) == f"User '{user}' not found in group '{group}'"
    assert world.get(f"/v3/groups/{group}/users", admin)["users"] == []


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
def test_unknown_groups_and_users_are_named(world: World, method: str) -> None:
    group, user = a_group(world, "ops"), a_user(world, "ann")

    for path, missing in ((f"none/users/{user}", "group: none"), (f"{group}/users/none", "user: none")):
        answer = world.http.request(method, f"/v3/groups/{path}", headers=world.as_())
        assert answer.status_code == 404 and message(answer) == f"Could not find {missing}."


def test_lists_are_narrowed_and_cost_a_constant_number_of_queries(world: World) -> None:
    group, user, admin = a_group(world, "ops"), a_user(world, "ann", enabled=False), world.as_()
    put(world, f"groups/{group}/users/{user}")
    paths = ("/v3/groups", f"/v3/groups/{group}/users", f"/v3/users/{user}/groups")

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
        put(world, f"groups/{group}/users/{a_user(world, f'u{number}')}")
        put(world, f"groups/{a_group(world, f'g{number}')}/users/{user}")

    def names(path: str) -> list[str]:
        return sorted(one["name"] for one in world.get(path, admin)[path.partition("?")[0].rpartition("/")[2]])

    assert queries() == before
    assert names(f"/v3/groups/{group}/users?enabled=false") == ["ann"]
    assert names(f"/v3/groups/{group}/users?name__startswith=u&password_expires_at=lt:2030-01-01T00:00:00Z") == []
    assert names(f"/v3/users/{user}/groups?name=g1") == ["g1"]
    assert names("/v3/groups?name__contains=g&domain_id=default") == ["g0", "g1", "g2", "g3"]
    assert len(world.get(f"/v3/groups/{group}/users?limit=2", admin)["users"]) == 2


@pytest.mark.parametrize("how", ["leave", "dissolve"])
@pytest.mark.parametrize("most", [100, 1, 0], ids=["each place", "each member", "each role"])
def test_members_lose_the_tokens_that_they_had_by_the_group(
    world: World, monkeypatch: pytest.MonkeyPatch, how: str, most: int
) -> None:
    monkeypatch.setattr(lost_roles, "MOST_ENTRIES", most)
    group = a_group(world, "ops")
    user = a_member(world, group, "ann")
    put(world, f"domains/default/groups/{group}/roles/{world.id_of('roles', 'reader')}")
    lost, kept, others = world.token("ann", scope_to("demo")), world.token("ann", "unscoped"), world.token("demo")

    path = f"/v3/groups/{group}/users/{user}" if how == "leave" else f"/v3/groups/{group}"
    assert world.http.delete(path, headers=world.as_()).status_code == 204

    assert not is_good(world, lost)
    assert is_good(world, kept) == (most != 1) and is_good(world, others) == (most != 0)
    assert world.log_in("ann", "ann-secret", scope_to("demo")).status_code == 401


def test_leaving_a_group_without_roles_ends_nothing(world: World) -> None:
    group, user = a_group(world, "club"), world.id_of("users", "demo")
    put(world, f"groups/{group}/users/{user}")
    token = world.token("demo")

    world.http.delete(f"/v3/groups/{group}/users/{user}", headers=world.as_())

    assert is_good(world, token)


def test_a_manager_of_a_domain_keeps_its_groups_and_members(world: World) -> None:
    boss, role = a_user(world, "boss"), world.id_of("roles", "manager")
    put(world, f"domains/default/users/{boss}/roles/{role}")
    manager = world.as_("boss", {"domain": {"id": "default"}})

    made = world.http.post("/v3/groups", headers=manager, json={"group": {"name": "ops"}})
    path = f"/v3/groups/{made.json()['group']['id']}"
    statuses = [
        made.status_code,
        world.http.patch(path, headers=manager, json={"group": {"name": "ops2"}}).status_code,
        world.http.put(f"{path}/users/{boss}", headers=manager).status_code,
        world.http.head(f"{path}/users/{boss}", headers=manager).status_code,
        world.http.delete(f"{path}/users/{boss}", headers=manager).status_code,
        world.http.put(f"{path}/users/none", headers=manager).status_code,
        world.http.delete(path, headers=manager).status_code,
        world.http.post("/v3/groups", headers=manager, json={"group": {"name": "x", "domain_id": "o"}}).status_code,
    ]

    assert statuses == [201, 200, 204, 204, 204, 403, 204, 403]


def test_an_ordinary_member_sees_its_own_groups_alone(world: World) -> None:
    group, user, demo = a_group(world, "ops"), world.id_of("users", "demo"), world.as_("demo")
    put(world, f"groups/{group}/users/{user}")

    assert [one["id"] for one in world.get(f"/v3/users/{user}/groups", demo)["groups"]] == [group]
    for method, path in (
        ("GET", f"groups/{group}"), ("GET", f"groups/{group}/users"), ("PUT", f"groups/{group}/users/{user}"),
        ("DELETE", f"groups/{group}"), ("PATCH", f"groups/{group}"), ("POST", "groups"),
        ("GET", f"users/{world.id_of('users', 'admin')}/groups"),
    ):  # fmt: skip
        assert world.http.request(method, f"/v3/{path}", headers=demo, json={}).status_code == 403


def test_a_reader_of_a_domain_sees_none_of_another_among_members(world: World) -> None:
    other = world.http.post("/v3/domains", headers=world.as_(), json={"domain": {"name": "other"}}).json()["domain"][
        "id"
    ]
    group, stranger, ann = a_group(world, "ops"), a_user(world, "stranger", domain_id=other), a_user(world, "ann")
    for user in (stranger, ann):
        put(world, f"groups/{group}/users/{user}")
    put(world, f"groups/{a_group(world, 'theirs', domain_id=other)}/users/{ann}")
    put(world, f"domains/default/users/{world.id_of('users', 'demo')}/roles/{world.id_of('roles', 'reader')}")
    reader, admin = world.as_("demo", {"domain": {"id": "default"}}), world.as_()

    def seen(headers: dict[str, str]) -> tuple[int, int]:
        members = world.get(f"/v3/groups/{group}/users", headers)["users"]
        return len(members), len(world.get(f"/v3/users/{ann}/groups", headers)["groups"])

    assert seen(reader) == (1, 1) and seen(admin) == (2, 2)
