"""The same answers from SQLite and from PostgreSQL."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, update

from common.bus.memory import MemoryBus
from common.db.migrate import drift
from common.settings import PlatformSettings
from services.identity.db import cloud_tables, delegation_tables, projects  # noqa: F401  all tables, for the comparison
from services.identity.db.delegation_tables import AccessRule, ApplicationCredential, Credential, CredentialRule, Trust
from services.identity.db.tables import IdentityTable, LoginFailure, Membership, Project, User
from services.identity.main import bootstrap
from tests.bench.seed_identity import Size, seed
from tests.unit.identity.test_groups import a_group, put
from tests.unit.identity.test_users import belongings
from tests.unit.identity.worlds import (
    CLOUD,
    World,
    a_domain,
    a_project,
    a_user,
    given,
    opened,
    scope_to,
    surroundings_in,
)


@pytest.fixture(params=["sqlite", "postgresql"])
def cloud(request: pytest.FixtureRequest, tmp_path: Path, platform: PlatformSettings) -> Iterator[World]:
    """Bootstrapped twice."""
    sqlite = f"sqlite:///{tmp_path}/identity.db"
    url = sqlite if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    surroundings = surroundings_in(tmp_path, url, platform, unique_last_password_count=3)
    bootstrap(surroundings, CLOUD)
    bootstrap(surroundings, CLOUD)
    yield from opened(surroundings)


def test_the_tables_are_those_of_the_migrations(cloud: World) -> None:
    assert drift(cloud.kit.database, IdentityTable.metadata) == []


def test_a_token_is_issued_validated_rescoped_and_revoked(cloud: World) -> None:
    token = cloud.token("demo", "unscoped")
    scoped = cloud.rescope(token, scope_to("demo"))

    assert cloud.validate(scoped.headers["x-subject-token"]).json() == scoped.json()
    assert {role["name"] for role in scoped.json()["token"]["roles"]} == {"member", "reader"}

    cloud.http.delete("/v3/auth/tokens", headers={"x-auth-token": token, "x-subject-token": token})
    assert cloud.validate(scoped.headers["x-subject-token"]).status_code == 404


def test_lists_page_and_filter(cloud: World) -> None:
    for number in range(5):
        a_project(cloud, f"p{number}", note={"a": [1, None, "ü"]})
    admin, path, names = cloud.as_(), "/v3/projects?limit=3&enabled=true", list[str]()

    while path:
        page = cloud.get(path, admin)
        names += [one["name"] for one in page["projects"]]
        path = (page["links"]["next"] or "").removeprefix("http://cloud.test/identity")

    assert sorted(names) == ["admin", "demo", "p0", "p1", "p2", "p3", "p4", "service"]
    assert cloud.get("/v3/projects?name=p1", admin)["projects"][0]["note"] == {"a": [1, None, "ü"]}


def test_grants_assignments_and_deletion(cloud: World) -> None:
    project, user, role = a_project(cloud, "p"), a_user(cloud, "u"), cloud.id_of("roles", "manager")
    admin = cloud.as_()
    path = f"/v3/projects/{project}/users/{user}/roles/{role}"

    assert cloud.http.put(path, headers=admin).status_code == 204
    query = f"/v3/role_assignments?effective&include_names&user.id={user}"
    found = cloud.get(query, admin)["role_assignments"]
    assert {one["role"]["name"] for one in found} == {"manager", "member", "reader"}
    assert cloud.http.delete(f"/v3/users/{user}", headers=admin).status_code == 204
    assert cloud.get(query, admin)["role_assignments"] == []
    assert cloud.http.delete(f"/v3/projects/{project}", headers=admin).status_code == 204


def test_a_name_is_taken_once_however_many_ask_at_the_same_time(cloud: World) -> None:
    admin, statuses = cloud.as_(), list[int]()

    def create() -> None:
        statuses.append(cloud.http.post("/v3/users", headers=admin, json={"user": {"name": "one"}}).status_code)

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [201, 409, 409, 409, 409, 409]


def test_failures_of_simultaneous_logins_are_all_counted(cloud: World) -> None:
    statuses = list[int]()

    def guess() -> None:
        statuses.append(cloud.log_in("demo", "wrong").status_code)

    threads = [threading.Thread(target=guess) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with cloud.kit.database.reading() as session:
        [counted] = session.scalars(select(LoginFailure.failures))
    assert statuses == [401] * 8
    assert counted > cloud.kit.settings.lockout_after  # those that came while it was locked do not count


def test_odd_text_is_refused_before_a_database_sees_it(cloud: World) -> None:
    admin = cloud.as_()

    assert cloud.http.get("/v3/users?name=a%00", headers=admin).status_code == 400
    assert cloud.http.get("/v3/users/a%00", headers=admin).status_code == 400
    assert cloud.log_in("a\0", "x").status_code == 400
    assert cloud.http.post("/v3/users", headers=admin, json={"user": {"name": "x", "note": "\0"}}).status_code == 400
    assert cloud.log_in("\U0001f600" * 300, "x").status_code == 401


def test_a_second_identity_process_shares_keys_and_revocations(cloud: World) -> None:
    other_bus = MemoryBus()
    token = cloud.token("demo")

    for other in opened(replace(cloud.surroundings, bus=other_bus)):
        assert other.validate(token).status_code == 200
        other.kit.keyring.rotate()
        rotated = other.token("demo")
        assert cloud.validate(rotated).status_code == 200
        cloud.http.delete("/v3/auth/tokens", headers={"x-auth-token": token, "x-subject-token": token})
        assert other.validate(token).status_code == 404


def test_a_user_goes_with_all_that_is_its_own(cloud: World) -> None:
    user, other, project = a_user(cloud, "ann"), cloud.id_of("users", "demo"), cloud.id_of("projects", "demo")
    group = a_group(cloud, "ops")
    put(cloud, f"groups/{group}/users/{user}")
    with cloud.kit.database.transaction() as session:
        session.add_all(belongings(user, other, project))

    assert cloud.http.delete(f"/v3/users/{user}", headers=cloud.as_()).status_code == 204

    with cloud.kit.database.reading() as session:
        for table in (Membership, Credential, ApplicationCredential, AccessRule, CredentialRule):
            assert session.scalars(select(table)).all() == []
        assert all(one.deleted_at for one in session.scalars(select(Trust)))


def test_users_change_and_are_found_by_group_and_expiry(cloud: World) -> None:
    user, group, admin = a_user(cloud, "ann", email="a"), a_group(cloud, "ops"), cloud.as_()
    for _ in range(2):
        put(cloud, f"groups/{group}/users/{user}")
    ends = datetime(2030, 1, 1, tzinfo=UTC)
    with cloud.kit.database.transaction() as session:
        session.execute(update(User).where(User.id == user).values(password_expires_at=ends))

    body = {"user": {"phone": 7, "options": {"multi_factor_auth_rules": [["password", "totp"]]}}}
    changed = cloud.http.patch(f"/v3/users/{user}", headers=admin, json=body).json()["user"]
    taken = cloud.http.patch(f"/v3/users/{user}", headers=admin, json={"user": {"name": "demo"}})

    [found] = cloud.get(f"/v3/groups/{group}/users?password_expires_at=lte:2030-01-01T00:00:00Z", admin)["users"]
    assert found == changed and (found["email"], found["phone"]) == ("a", 7)
    assert found["password_expires_at"] == "2030-01-01T00:00:00.000000" and taken.status_code == 409
    assert [one["id"] for one in cloud.get(f"/v3/users/{user}/groups?name=ops", admin)["groups"]] == [group]


def test_former_passwords_are_kept_as_long_as_they_count(cloud: World) -> None:
    user, statuses = a_user(cloud, "ann"), list[int]()

    for old, new in (("ann-secret", "2"), ("2", "3"), ("3", "ann-secret"), ("3", "4"), ("4", "ann-secret")):
        body = {"user": {"original_password": old, "password": new}}
        statuses.append(cloud.http.post(f"/v3/users/{user}/password", json=body).status_code)

    assert statuses == [204, 204, 400, 204, 204]


def test_options_of_a_domain_keep_their_kind_of_value(cloud: World) -> None:
    path = "/v3/domains/default/config"
    options: dict[str, object] = {"page_size": 3, "use_tls": True, "url": "7", "pool_retry_delay": 0.5, "user": None}

    for _ in range(2):
        body = {"config": {"ldap": options | {"password": "x"}}}
        cloud.http.put(path, headers=cloud.as_(), json=body)

    assert cloud.get(path, cloud.as_())["config"] == {"ldap": options}
    assert cloud.http.delete(f"{path}/ldap/url", headers=cloud.as_()).status_code == 204


def test_a_domain_is_emptied_and_trees_and_tags_are_found(cloud: World) -> None:
    admin, domain = cloud.as_(), a_domain(cloud, "d1", tags=["t"])
    top = a_project(cloud, "top", domain_id=domain, tags=["a", "b"])
    leaf = a_project(cloud, "leaf", domain_id=domain, parent_id=top, tags=["a"])
    user = a_user(cloud, "eve", domain_id=domain, default_project_id=leaf)
    path = f"/v3/domains/{domain}"

    assert cloud.get(f"/v3/projects/{leaf}?parents_as_ids", admin)["project"]["parents"] == {top: {domain: None}}
    assert cloud.get(f"/v3/projects/{domain}?subtree_as_ids", admin)["project"]["subtree"] == {top: {leaf: None}}
    assert [one["id"] for one in cloud.get("/v3/projects?tags=a&not-tags-any=b", admin)["projects"]] == [leaf]
    assert [one["id"] for one in cloud.get("/v3/projects?is_domain=1&tags-any=t,x", admin)["projects"]] == [domain]
    assert cloud.http.patch(path, headers=admin, json={"domain": {"enabled": False}}).status_code == 200
    assert cloud.http.delete(path, headers=admin).status_code == 204
    assert cloud.http.get(f"/v3/users/{user}", headers=admin).status_code == 404


def test_a_catalog_follows_what_was_chosen_for_its_project(cloud: World) -> None:
    admin, project = cloud.as_(), cloud.id_of("projects", "admin")
    group = {"name": "g", "filters": {"interface": "internal", "region_id": "RegionOne"}}
    answer = cloud.http.post("/v3/OS-EP-FILTER/endpoint_groups", headers=admin, json={"endpoint_group": group})
    single = cloud.get("/v3/endpoints?interface=admin", admin)["endpoints"][0]["id"]

    given(cloud, f"OS-EP-FILTER/endpoint_groups/{answer.json()['endpoint_group']['id']}/projects/{project}")
    given(cloud, f"OS-EP-FILTER/projects/{project}/endpoints/{single}")

    shown = [one for service in cloud.get("/v3/auth/catalog", admin)["catalog"] for one in service["endpoints"]]
    assert {one["interface"] for one in shown if one["id"] != single} == {"internal"}
    assert single in {one["id"] for one in shown}


def test_regions_and_services_go_with_what_belongs_to_them(cloud: World) -> None:
    admin, service = cloud.as_(), cloud.id_of("services", "keystone")
    for region in ({"id": "a"}, {"id": "b", "parent_region_id": "a"}):
        assert cloud.http.post("/v3/regions", headers=admin, json={"region": region}).status_code == 201
    limit = {"service_id": service, "resource_name": "vcpus", "default_limit": 1}

    assert cloud.http.delete("/v3/regions/a", headers=admin).status_code == 204
    made = cloud.http.post("/v3/registered_limits", headers=admin, json={"registered_limits": [limit]})
    twice = cloud.http.post("/v3/registered_limits", headers=admin, json={"registered_limits": [limit]})
    assert (made.status_code, twice.status_code) == (201, 409)
    assert cloud.http.delete(f"/v3/services/{service}", headers=admin).status_code == 403
    registered = made.json()["registered_limits"][0]["id"]
    assert cloud.http.delete(f"/v3/registered_limits/{registered}", headers=admin).status_code == 204
    assert cloud.http.delete(f"/v3/services/{service}", headers=admin).status_code == 204


def test_projects_of_a_user_are_looked_up_however_many_there_are(cloud: World) -> None:
    database = cloud.kit.database
    seed(database, Size(projects=3000, users=100, assignments=200))
    [user_id, project_id] = (cloud.id_of(kind, "demo") for kind in ("users", "projects"))
    query = projects.of_user(user_id).order_by(Project.id).limit(100)
    said = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    plans: list[str] = []

    with database.reading() as session:
        connection = session.connection()

        @event.listens_for(connection, "before_cursor_execute")
        def explained(_: object, cursor: Any, statement: str, parameters: Any, *__: object) -> None:
            plans.append(str(cursor.execute(f"{said} {statement}", parameters).fetchall()))

        found = session.scalars(query).all()

    assert [one.id for one in found] == [project_id]
    assert not re.search(r"Seq Scan on projects +\(|SCAN projects", plans[0]), plans
