"""Roles: made, changed, deleted, implying each other."""

from __future__ import annotations

import pytest
from httpx2 import Response

from common.db.types import utc_now
from services.identity.db.delegation_tables import ApplicationCredential, Trust
from services.identity.db.tables import Domain
from tests.unit.identity.worlds import URL, World, a_project, a_role, a_user, given, scope_to


def message(answer: Response) -> str:
    return str(answer.json()["error"]["message"])


def test_a_role_is_made_shown_changed_and_deleted(world: World) -> None:
    admin = world.as_()
    made = world.http.post("/v3/roles", headers=admin, json={"role": {"name": "cook", "note": "soup"}})
    role = made.json()["role"]
    path = f"/v3/roles/{role['id']}"

    changed = world.http.patch(path, headers=admin, json={"role": {"name": "chef", "description": "d", "note": "pie"}})

    assert made.status_code == 201 and changed.status_code == 200
    assert role == {
        "id": role["id"],
        "name": "cook",
        "domain_id": None,
        "description": None,
        "options": {},
        "note": "soup",
        "links": {"self": f"{URL}/roles/{role['id']}"},
    }
    assert changed.json()["role"] == role | {"name": "chef", "description": "d", "note": "pie"}
    assert world.get(path, admin)["role"] == changed.json()["role"]
    assert [one["id"] for one in world.get("/v3/roles?name__contains=hef", admin)["roles"]] == [role["id"]]
    assert world.http.delete(path, headers=admin).status_code == 204
    assert world.http.get(path, headers=admin).status_code == 404


def test_a_role_of_a_domain_is_listed_with_the_domain_only(world: World) -> None:
    role = a_role(world, "cook", domain_id="default")
    a_role(world, "cook")  # another one: names are unique in a domain

    assert [one["id"] for one in world.get("/v3/roles?domain_id=default", world.as_())["roles"]] == [role]
    assert role not in {one["id"] for one in world.get("/v3/roles", world.as_())["roles"]}


@pytest.mark.parametrize("fields", [{}, {"domain_id": "default"}])
def test_a_role_name_is_taken_once(world: World, fields: dict[str, str]) -> None:
    admin, other = world.as_(), a_role(world, "other", **fields)
    a_role(world, "cook", **fields)

    again = world.http.post("/v3/roles", headers=admin, json={"role": {"name": "cook"} | fields})
    renamed = world.http.patch(f"/v3/roles/{other}", headers=admin, json={"role": {"name": "cook"}})

    assert again.status_code == renamed.status_code == 409
    sentence = "Conflict occurred attempting to store role - Duplicate entry found with name cook."
    assert message(again) == message(renamed) == sentence


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"role": {}}, "'name' is a required property"),
        ({"role": {"name": ""}}, "'' is too short"),
        ({"role": {"name": "x" * 256}}, "is too long"),
        ({"role": {"name": "x", "options": {"colour": 1}}}, "Additional properties are not allowed"),
        ({"role": {"name": "x", "options": {"immutable": "yes"}}}, "is not of type 'boolean'"),
        ({"role": {"name": "x", "description": 7}}, "is not of type 'string'"),
    ],
)
def test_a_bad_role_is_refused(world: World, body: object, words: str) -> None:
    answer = world.http.post("/v3/roles", headers=world.as_(), json=body)

    assert answer.status_code == 400 and words in message(answer)


def test_a_role_neither_moves_to_another_domain_nor_takes_another_id_nor_an_empty_change(world: World) -> None:
    path, admin = f"/v3/roles/{a_role(world, 'cook')}", world.as_()

    answers = [
        world.http.patch(path, headers=admin, json={"role": change})
        for change in ({"domain_id": "default"}, {"id": "x"}, {})
    ]

    assert [answer.status_code for answer in answers] == [400] * 3
    assert message(answers[0]) == "Update of `domain_id` is not allowed."
    assert "does not have enough properties" in message(answers[2])


def test_an_immutable_role_is_freed_before_anything_else_changes(world: World) -> None:
    role, admin = a_role(world, "rock", options={"immutable": True}), world.as_()
    path = f"/v3/roles/{role}"

    refused = [
        world.http.delete(path, headers=admin),
        world.http.patch(path, headers=admin, json={"role": {"name": "sand"}}),
        world.http.patch(path, headers=admin, json={"role": {"name": "sand", "options": {"immutable": False}}}),
        world.http.patch(path, headers=admin, json={"role": {"options": {"immutable": True}}}),
    ]
    freed = world.http.patch(path, headers=admin, json={"role": {"options": {"immutable": None}}})

    assert [answer.status_code for answer in refused] == [403] * 4
    assert message(refused[0]).startswith(f"Unable to delete immutable role resource: `{role}.")
    assert freed.json()["role"]["options"] == {}
    assert world.http.delete(path, headers=admin).status_code == 204


def test_a_deleted_role_ends_tokens_and_takes_itself_from_assignments_credentials_and_trusts(world: World) -> None:
    role, kept = a_role(world, "cook"), world.id_of("roles", "member")
    user, project = world.id_of("users", "demo"), world.id_of("projects", "demo")
    given(world, f"projects/{project}/users/{user}/roles/{role}")
    with world.kit.database.transaction() as session:
        session.add(
            ApplicationCredential(
                id="c", name="c", secret_hash="", user_id=user, project_id=project, unrestricted=False,
                role_ids=[role, kept], created_at=utc_now(),
            )
        )  # fmt: skip
        session.add(
            Trust(
                id="t", trustor_user_id=user, trustee_user_id=user, project_id=project, impersonation=False,
                role_ids=[kept, role], redelegation_count=0, created_at=utc_now(), extra={},
            )
        )  # fmt: skip
    token = world.token("demo")

    assert world.http.delete(f"/v3/roles/{role}", headers=world.as_()).status_code == 204

    assert world.validate(token).status_code == 404
    assert world.get(f"/v3/role_assignments?role.id={role}", world.as_())["role_assignments"] == []
    with world.kit.database.reading() as session:
        assert session.get_one(ApplicationCredential, "c").role_ids == [kept]
        assert session.get_one(Trust, "t").role_ids == [kept]


def test_an_implied_role_is_made_shown_listed_and_deleted(world: World) -> None:
    head_chef, cook, admin = a_role(world, "chef"), a_role(world, "cook"), world.as_()
    path = f"/v3/roles/{head_chef}/implies/{cook}"
    named = [
        {"id": role, "name": name, "links": {"self": f"{URL}/roles/{role}"}}
        for role, name in ((head_chef, "chef"), (cook, "cook"))
    ]

    made = world.http.put(path, headers=admin)

    assert made.status_code == 201 and made.json()["role_inference"] == {"prior_role": named[0], "implies": named[1]}
    assert world.get(path, admin) == made.json()
    assert world.http.head(path, headers=admin).status_code == 204
    listed = {"prior_role": named[0], "implies": [named[1]]}
    assert world.get(f"/v3/roles/{head_chef}/implies", admin)["role_inference"] == listed
    assert listed in world.get("/v3/role_inferences", admin)["role_inferences"]
    assert world.http.put(path, headers=admin).status_code == 409
    assert world.http.delete(path, headers=admin).status_code == 204
    gone = world.http.get(path, headers=admin)
    assert gone.status_code == 404 and message(gone) == f"{head_chef} does not imply {cook}."


def test_what_would_hide_a_role_or_run_in_a_circle_is_refused(world: World) -> None:
    headers = world.as_()
    admin, member, reader = (world.id_of("roles", name) for name in ("admin", "member", "reader"))
    own = a_role(world, "own", domain_id="default")
    refused = {
        "admin follows from nothing": (member, admin),
        "a circle": (reader, member),
        "itself": (reader, reader),
        "a domain's role from a global one": (member, own),
    }

    answers = {why: world.http.put(f"/v3/roles/{a}/implies/{b}", headers=headers) for why, (a, b) in refused.items()}

    assert {why: answer.status_code for why, answer in answers.items()} == dict.fromkeys(refused, 403)
    assert world.http.put(f"/v3/roles/{own}/implies/{member}", headers=world.as_()).status_code == 201


def test_a_role_that_follows_no_longer_ends_the_tokens_that_carry_it(world: World) -> None:
    chef, cook = a_role(world, "chef"), a_role(world, "cook")
    user, project = world.id_of("users", "demo"), world.id_of("projects", "demo")
    given(world, f"roles/{chef}/implies/{cook}")
    given(world, f"projects/{project}/users/{user}/roles/{chef}")
    token, other = world.token("demo"), world.token("admin")

    world.http.delete(f"/v3/roles/{chef}/implies/{cook}", headers=world.as_())

    assert world.validate(token).status_code == 404
    assert world.validate(other).status_code == 200
    names = {role["name"] for role in world.log_in("demo", "demo-secret", scope_to("demo")).json()["token"]["roles"]}
    assert names == {"chef", "member", "reader"}


def test_a_domains_own_role_is_given_in_its_domain_only_and_shows_in_no_token(world: World) -> None:
    own, member = a_role(world, "own", domain_id="default"), world.id_of("roles", "member")
    foreign = a_role(world, "foreign", domain_id=_another_domain(world))
    user, project, admin = a_user(world, "eve"), a_project(world, "p"), world.as_()

    given(world, f"projects/{project}/users/{user}/roles/{own}")
    no_role_yet = world.log_in("eve", "eve-secret", scope_to("p"))
    given(world, f"roles/{own}/implies/{member}")
    roles = world.log_in("eve", "eve-secret", scope_to("p")).json()["token"]["roles"]

    assert no_role_yet.status_code == 401
    assert {role["name"] for role in roles} == {"member", "reader"}
    mismatch = world.http.put(f"/v3/projects/{project}/users/{user}/roles/{foreign}", headers=admin)
    assert mismatch.status_code == 403 and "must be in the same domain as the role" in message(mismatch)
    assert world.http.put(f"/v3/domains/default/users/{user}/roles/{foreign}", headers=admin).status_code == 403
    assert world.http.put(f"/v3/system/users/{user}/roles/{own}", headers=admin).status_code == 400


def _another_domain(world: World) -> str:
    with world.kit.database.transaction() as session:
        session.add(Domain(id="other", name="Other", description=None, enabled=True, options={}, extra={}))
    return "other"
