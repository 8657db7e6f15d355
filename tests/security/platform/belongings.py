"""What each kind of person has, and what is another's: of every kind of thing that a route's path can name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from tests.security.platform.people import Person, Town

Ids = dict[str, str]
IDENTITY = "/identity/v3"
SEED = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
RULES = [{"service": "compute", "method": "GET", "path": "/v2.1/servers"}]


def token(town: Town, user_id: str, password: str, scope: Any) -> str:
    named = {"id": user_id, "password": password}
    auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": named}}, "scope": scope}
    answer = town.http.post(f"{IDENTITY}/auth/tokens", json={"auth": auth})
    assert answer.status_code == 201, answer.text
    return str(answer.headers["x-subject-token"])


@dataclass
class Estate:
    """A project in a domain, with all that identity keeps of such a one and that is nobody's own."""

    town: Town
    domain_id: str
    project_id: str
    shared: Ids

    def person(self, *roles: str, scope: str = "project", name: str = "somebody") -> Person:
        """A new user with these roles on the project, the domain or the system, and a token for it; no role: for nothing."""
        town, password = self.town, uuid4().hex
        body = {"name": f"{name}-{uuid4().hex[:8]}", "password": password, "domain_id": self.domain_id}
        user_id = town.admin.made(f"{IDENTITY}/users", {"user": body})["id"]
        places = {"project": f"projects/{self.project_id}", "domain": f"domains/{self.domain_id}", "system": "system"}
        for role in roles:
            grant(town, f"{places[scope]}/users/{user_id}/roles/{role_id(town, role)}")
        if scope != "project":
            grant(town, f"{places['project']}/users/{user_id}/roles/{role_id(town, 'reader')}")
        wanted: dict[str, Any] = {
            "project": {"project": {"id": self.project_id}},
            "domain": {"domain": {"id": self.domain_id}},
            "system": {"system": {"all": True}},
        }
        asked = wanted[scope] if roles else "unscoped"
        if not roles:
            grant(town, f"{places['project']}/users/{user_id}/roles/{role_id(town, 'reader')}")
        own = token(town, user_id, password, asked)
        return Person(town.http, body["name"], password, "", self.project_id, own, user_id)

    def of(self, person: Person, role: str) -> Ids:
        """All of the estate's, and what is the person's own; `role` is one that it has on the project."""
        owner = Person(
            person.http, person.name, person.password, "", self.project_id,
            token(self.town, person.user_id, person.password, {"project": {"id": self.project_id}}), person.user_id,
        )  # fmt: skip
        home = f"{IDENTITY}/users/{person.user_id}"
        bound = {"name": "bound", "access_rules": RULES, "roles": [{"name": role}]}
        made = owner.made(f"{home}/application_credentials", {"application_credential": bound})
        pair = self.town.admin.made(f"{home}/credentials/OS-EC2", {"tenant_id": self.project_id})
        return self.shared | {
            "user_id": person.user_id,
            "application_credential_id": made["id"],
            "rule_id": made["access_rules"][0]["id"],
            "access": pair["access"],
            "credential_id": credential(self.town, person),
            "trust_id": trust(owner, role),
        }


def estate(town: Town, domain_id: str) -> Estate:
    admin, suffix = town.admin, uuid4().hex[:8]
    project = {"name": f"project-{suffix}", "domain_id": domain_id, "tags": ["tag"]}
    project_id = admin.made(f"{IDENTITY}/projects", {"project": project})["id"]
    group = admin.made(f"{IDENTITY}/groups", {"group": {"name": f"group-{suffix}", "domain_id": domain_id}})
    neighbour = admin.made(f"{IDENTITY}/users", {"user": {"name": f"neighbour-{suffix}", "domain_id": domain_id}})
    shared = {
        "neighbour": neighbour["id"],
        "domain_id": domain_id,
        "project_id": project_id,
        "group_id": group["id"],
        "value": "tag",
    }
    shared |= {"role_id": town.member_role, "limit_id": limit(town, project_id)}
    return Estate(town, domain_id, project_id, shared)


def elsewhere(town: Town) -> Estate:
    """In another domain, where nobody else has anything."""
    domain = town.admin.made(f"{IDENTITY}/domains", {"domain": {"name": f"domain-{uuid4().hex[:8]}"}})
    return estate(town, domain["id"])


def limit(town: Town, project_id: str) -> str:
    services = town.admin.ask("GET", f"{IDENTITY}/services?type=compute").json()["services"]
    what = {"service_id": services[0]["id"], "resource_name": f"things-{uuid4().hex[:8]}"}
    for path, more in (
        ("registered_limits", {"default_limit": 1}),
        ("limits", {"resource_limit": 1, "project_id": project_id}),
    ):
        answer = town.admin.ask("POST", f"{IDENTITY}/{path}", json={path: [what | more]})
        assert answer.status_code == 201, answer.text
    return str(answer.json()["limits"][0]["id"])


def credential(town: Town, person: Person) -> str:
    body = {"type": "totp", "blob": SEED, "user_id": person.user_id}
    return str(town.admin.made(f"{IDENTITY}/credentials", {"credential": body})["id"])


def trust(owner: Person, role: str = "member") -> str:
    body = {"trustor_user_id": owner.user_id, "trustee_user_id": owner.user_id, "project_id": owner.project_id}
    body |= {"impersonation": True, "roles": [{"name": role}]}  # type: ignore[dict-item]
    return str(owner.made(f"{IDENTITY}/OS-TRUST/trusts", {"trust": body})["id"])


def role_id(town: Town, name: str) -> str:
    return str(town.admin.ask("GET", f"{IDENTITY}/roles?name={name}").json()["roles"][0]["id"])


def grant(town: Town, place: str) -> None:
    given = town.admin.ask("PUT", f"{IDENTITY}/{place}")
    assert given.status_code == 204, given.text


def named(ids: Mapping[str, str], path: str) -> Ids:
    """The ids under the names that they have in this path."""
    found = dict(ids)
    if "/application_credentials/" in path and "application_credential_id" in ids:
        found["credential_id"] = ids["application_credential_id"]
    for kind, at in (("project_id", "/projects/{target_id}"), ("domain_id", "/domains/{target_id}")):
        if at in path and kind in ids:
            found["target_id"] = ids[kind]
    for kind, at in (("user_id", "/users/{actor_id}"), ("group_id", "/groups/{actor_id}")):
        if at in path and kind in ids:
            found["actor_id"] = ids[kind]
    return found


def anew(town: Town, own: Estate, person: Person) -> Mapping[str, Callable[[], Ids]]:
    """Path of what an operation ends -> one more of it, to be ended."""
    suffix = uuid4().hex
    body = {"name": f"anew-{suffix}", "domain_id": own.domain_id}

    def made(kind: str) -> Callable[[], Ids]:
        return lambda: {f"{kind}_id": town.admin.made(f"{IDENTITY}/{kind}s", {kind: body})["id"]}

    return {
        "/v3/users/{user_id}": made("user"),
        "/v3/groups/{group_id}": made("group"),
        "/v3/projects/{project_id}": made("project"),
        "/v3/credentials/{credential_id}": lambda: {"credential_id": credential(town, person)},
    }
