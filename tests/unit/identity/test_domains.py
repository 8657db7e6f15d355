"""Domains, also where they are shown as projects."""

from __future__ import annotations

import pytest

from tests.unit.identity.worlds import URL, World, a_domain, a_project, a_role, a_user, given


def test_a_domain_is_made_as_keystone_makes_it(world: World) -> None:
    body = {"domain": {"name": "d1", "tags": ["b", "a"], "options": {"immutable": True}, "note": 1}}

    answer = world.http.post("/v3/domains", headers=world.as_(), json=body)

    domain = answer.json()["domain"]
    assert answer.status_code == 201
    assert domain == {
        "note": 1,
        "id": domain["id"],
        "name": "d1",
        "description": "",
        "enabled": True,
        "tags": ["a", "b"],
        "options": {"immutable": True},
        "links": {"self": f"{URL}/domains/{domain['id']}"},
    }
    assert world.get(f"/v3/domains/{domain['id']}", world.as_())["domain"] == domain


def test_a_client_may_choose_the_id_of_a_domain(world: World) -> None:
    chosen = "0123456789abcdef0123456789abcdef"

    assert a_domain(world, "d1", explicit_domain_id=chosen) == chosen
    for bad in ("x", chosen.upper()):
        body = {"domain": {"name": "d2", "explicit_domain_id": bad}}
        answer = world.http.post("/v3/domains", headers=world.as_(), json=body)
        assert answer.status_code == 400 and "UUID format" in answer.json()["error"]["message"]


@pytest.mark.parametrize("fields", [{"name": ""}, {"name": "n" * 65}, {}, {"name": "x", "enabled": "True"}])
def test_a_bad_domain_is_refused(world: World, fields: dict[str, object]) -> None:
    assert world.http.post("/v3/domains", headers=world.as_(), json={"domain": fields}).status_code == 400


def test_the_name_of_a_domain_is_taken_once(world: World) -> None:
    domain = a_domain(world, "d1")

    again = world.http.post("/v3/domains", headers=world.as_(), json={"domain": {"name": "Default"}})
    renamed = world.http.patch(f"/v3/domains/{domain}", headers=world.as_(), json={"domain": {"name": "Default"}})

    assert (again.status_code, renamed.status_code) == (409, 409)
    assert again.json()["error"]["message"].endswith("acting as domains with the same name: Default.")


def test_a_domain_that_is_disabled_keeps_nobody_logged_in(world: World) -> None:
    domain = a_domain(world, "d1")
    user = a_user(world, "eve", domain_id=domain)
    given(world, f"domains/{domain}/users/{user}/roles/{world.id_of('roles', 'member')}")
    login = {"methods": ["password"], "password": {"user": {"id": user, "password": "eve-secret"}}}
    token = world.authenticate(login, {"domain": {"id": domain}}).headers["x-subject-token"]

    answer = world.http.patch(f"/v3/domains/{domain}", headers=world.as_(), json={"domain": {"enabled": False}})

    assert answer.status_code == 200 and answer.json()["domain"]["enabled"] is False
    assert world.validate(token).status_code == 404
    assert world.authenticate(login).status_code == 401


def test_an_enabled_domain_is_not_deleted(world: World) -> None:
    answer = world.http.delete("/v3/domains/default", headers=world.as_())

    assert answer.status_code == 403
    assert answer.json()["error"]["message"] == "Cannot delete a domain that is enabled, please disable it first."


def test_a_deleted_domain_takes_everything_in_it_along(world: World) -> None:
    domain, admin = a_domain(world, "d1", tags=["t"]), world.as_()
    user = a_user(world, "eve", domain_id=domain)
    role = a_role(world, "helper", domain_id=domain)
    parent = a_project(world, "p", domain_id=domain)
    child = a_project(world, "c", domain_id=domain, parent_id=parent)
    group = world.http.post("/v3/groups", headers=admin, json={"group": {"name": "g", "domain_id": domain}}).json()
    given(world, f"groups/{group['group']['id']}/users/{user}")
    given(world, f"projects/{child}/users/{user}/roles/{world.id_of('roles', 'member')}")
    given(world, f"domains/{domain}/users/{user}/roles/{role}")

    world.http.patch(f"/v3/domains/{domain}", headers=admin, json={"domain": {"enabled": False}})
    gone = world.http.delete(f"/v3/domains/{domain}", headers=admin)

    paths = (f"domains/{domain}", f"users/{user}", f"roles/{role}", f"projects/{parent}", f"projects/{child}")
    assert gone.status_code == 204, gone.text
    for path in (*paths, f"groups/{group['group']['id']}"):
        assert world.http.get(f"/v3/{path}", headers=admin).status_code == 404
    assert world.get(f"/v3/role_assignments?user.id={user}", admin)["role_assignments"] == []


def test_an_immutable_domain_first_has_to_become_mutable(world: World) -> None:
    domain, admin = a_domain(world, "d1", options={"immutable": True}), world.as_()

    def patched(fields: object) -> int:
        return world.http.patch(f"/v3/domains/{domain}", headers=admin, json={"domain": fields}).status_code

    assert patched({"enabled": False}) == 403
    assert world.http.delete(f"/v3/domains/{domain}", headers=admin).status_code == 403
    assert patched({"options": {"immutable": None}}) == 200
    assert patched({"enabled": False}) == 200


def test_a_domain_is_a_project_too(world: World) -> None:
    admin = world.as_()

    answer = world.http.post("/v3/projects", headers=admin, json={"project": {"name": "d1", "is_domain": True}})

    made = answer.json()["project"]
    assert answer.status_code == 201
    assert (made["is_domain"], made["domain_id"], made["parent_id"]) == (True, None, None)
    assert world.get(f"/v3/projects/{made['id']}", admin)["project"] == made
    assert made in world.get("/v3/projects?is_domain=true", admin)["projects"]
    assert made["id"] not in [one["id"] for one in world.get("/v3/projects", admin)["projects"]]
    assert world.get(f"/v3/domains/{made['id']}", admin)["domain"]["name"] == "d1"


def test_a_domain_can_be_changed_and_deleted_as_a_project(world: World) -> None:
    domain, admin = a_domain(world, "d1"), world.as_()
    path = f"/v3/projects/{domain}"

    kept = world.http.delete(path, headers=admin)
    off = world.http.patch(path, headers=admin, json={"project": {"enabled": False}})
    gone = world.http.delete(path, headers=admin)

    assert (kept.status_code, off.status_code, gone.status_code) == (403, 200, 204)
    assert world.http.get(f"/v3/domains/{domain}", headers=admin).status_code == 404


def test_a_domain_below_something_is_a_mistake(world: World) -> None:
    body = {"project": {"name": "d1", "is_domain": True, "domain_id": "default"}}

    answer = world.http.post("/v3/projects", headers=world.as_(), json=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "only root projects are allowed to act as domains."


def test_a_manager_of_a_domain_makes_projects_there_and_no_domains(world: World) -> None:
    domain = a_domain(world, "d1")
    user = a_user(world, "eve", domain_id=domain)
    given(world, f"domains/{domain}/users/{user}/roles/{world.id_of('roles', 'manager')}")
    login = {"methods": ["password"], "password": {"user": {"id": user, "password": "eve-secret"}}}
    eve = {"x-auth-token": world.authenticate(login, {"domain": {"id": domain}}).headers["x-subject-token"]}

    def made(**fields: object) -> int:
        return world.http.post("/v3/projects", headers=eve, json={"project": {"name": "p"} | fields}).status_code

    assert made() == 201
    assert made(domain_id="default") == 403
    assert made(parent_id=world.id_of("projects", "demo")) == 400
    assert made(is_domain=True) == 403
    assert world.http.patch(f"/v3/projects/{domain}", headers=eve, json={"project": {"name": "x"}}).status_code == 403
