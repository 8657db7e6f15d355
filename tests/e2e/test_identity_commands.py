"""What an administrator of people does with the unmodified `openstack` command."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.identity.core.totp import STEP_S, passcode
from tests.harness.clouds import Cloud
from tests.harness.openstack_shell import Shell, shell_of


@pytest.fixture(scope="module")
def admin(cloud: Cloud) -> Iterator[Shell]:
    with shell_of(cloud) as shell:
        yield shell


def names(rows: list[dict[str, str]], column: str = "Name") -> set[str]:
    return {row[column] for row in rows}


def test_domains(admin: Shell, name: str) -> None:
    made = admin.json("domain create --description first", name)
    assert made["enabled"] is True and made["description"] == "first"
    assert name in names(admin.json("domain list"))

    admin("domain set --description second --disable", name)

    shown = admin.json("domain show", name)
    assert (shown["description"], shown["enabled"]) == ("second", False)
    admin("domain delete", name)
    assert name in admin.refused("domain show", name)


def test_projects(admin: Shell, name: str) -> None:
    parent = admin.json("project create", f"{name}-parent")
    made = admin.json(
        "project create --parent", parent["id"], "--description", "d", "--tag", "a", "--property", "k=v", name
    )
    assert made["parent_id"] == parent["id"] and made["tags"] == ["a"] and made["is_domain"] is False
    assert names(admin.json("project list --tags a --parent", parent["id"])) == {name}

    admin("project set --tag b --name", f"{name}-2", name)

    shown = admin.json("project show --parents", f"{name}-2")
    assert sorted(shown["tags"]) == ["a", "b"] and parent["id"] in str(shown["parents"])
    assert "is not a leaf" in admin.refused("project delete", parent["id"])
    admin("project delete", made["id"])
    admin("project delete", parent["id"])
    assert not names(admin.json("project list")) & {name, f"{name}-2", f"{name}-parent"}


def test_users_and_groups(admin: Shell, cloud: Cloud, name: str) -> None:
    user = admin.json("user create --domain default --email a@b.c --password first-secret --description d", name)
    assert user["email"] == "a@b.c" and user["enabled"] is True
    admin("group create --description g", f"{name}-group")
    admin("group add user", f"{name}-group", name)
    assert "in group" in admin("group contains user", f"{name}-group", name)
    assert names(admin.json("user list --group", f"{name}-group")) == {name}
    assert names(admin.json("group list --user", name)) == {f"{name}-group"}

    admin("user set --password second-secret --name", f"{name}-2", name)

    login = {"OS_AUTH_URL": f"{cloud.url}/identity/v3", "OS_USERNAME": f"{name}-2", "OS_USER_DOMAIN_ID": "default"}
    login |= {"OS_IDENTITY_API_VERSION": "3"}
    with shell_of(cloud, "", **login, OS_PASSWORD="second-secret") as own:
        assert own.json("token issue")["user_id"] == user["id"]
        own("user password set --original-password second-secret --password third-secret")
        assert "401" in own.refused("token issue")
    admin("group remove user", f"{name}-group", f"{name}-2")
    admin("group set --name", f"{name}-group-2", f"{name}-group")
    assert admin.json("group show", f"{name}-group-2")["description"] == "g"
    admin("group delete", f"{name}-group-2")
    admin("user delete", f"{name}-2")
    assert f"{name}-2" not in names(admin.json("user list"))


def test_roles_and_their_assignments(admin: Shell, name: str) -> None:
    role = admin.json("role create --description d", name)
    user, project = admin.json("user create", name), admin.json("project create", name)
    group = admin.json("group create", name)

    admin("role add --user", user["id"], "--project", project["id"], name)
    admin("role add --group", group["id"], "--domain", "default", "--inherited", name)
    admin("role add --user", user["id"], "--system", "all", "reader")
    admin("implied role create --implied-role reader", name)

    found = admin.json("role assignment list --names --user", user["id"])
    assert {(row["Role"], row["Project"], row["System"]) for row in found} == {
        (name, f"{name}@Default", ""),
        ("reader", "", "all"),
    }
    effective = admin.json("role assignment list --effective --names --project", project["id"], "--user", user["id"])
    assert {row["Role"] for row in effective} == {name, "reader"}
    inherited = admin.json("role assignment list --group", group["id"])
    assert [row["Inherited"] for row in inherited] == [True]
    assert name in {row["Prior Role Name"] for row in admin.json("implied role list")}

    admin("implied role delete --implied-role reader", name)
    admin("role set --name", f"{name}-2", name)
    admin("role remove --user", user["id"], "--project", project["id"], f"{name}-2")
    assert admin.json("role assignment list --user", user["id"], "--project", project["id"]) == []
    assert admin.json("role show", f"{name}-2")["id"] == role["id"]
    for kind in ("user", "project", "group"):
        admin(f"{kind} delete", name)
    admin("role delete", f"{name}-2")
    assert f"{name}-2" not in names(admin.json("role list"))


def test_application_credentials_log_in_and_keep_to_their_rules(cloud: Cloud, name: str) -> None:
    rules = '[{"service": "compute", "method": "GET", "path": "/v2.1/servers"}]'
    with shell_of(cloud, "pileus") as member:
        made = member.json("application credential create --role member --description d", name)
        bound = member.json("application credential create --access-rules", rules, f"{name}-bound")
        listed = member.json("application credential list")
        rule = member.json("access rule list")
    assert {name, f"{name}-bound"} <= names(listed) and made["Unrestricted"] is False

    login = {"OS_AUTH_TYPE": "v3applicationcredential", "OS_AUTH_URL": f"{cloud.url}/identity/v3"}
    first = {"OS_APPLICATION_CREDENTIAL_ID": made["ID"], "OS_APPLICATION_CREDENTIAL_SECRET": made["Secret"]}
    with shell_of(cloud, "", **login, **first) as own:
        assert own.json("server list") == []
        assert own.refused("application credential create", f"{name}-more")
    second = {"OS_APPLICATION_CREDENTIAL_ID": bound["ID"], "OS_APPLICATION_CREDENTIAL_SECRET": bound["Secret"]}
    with shell_of(cloud, "", **login, **second) as own:
        assert own.json("token issue")["project_id"] == made["Project ID"]
        assert "401" in own.refused("flavor list")
    with shell_of(cloud, "pileus") as member:
        member("application credential show", name)
        member("application credential delete", name, f"{name}-bound")
        member("access rule show", rule[0]["ID"])
        member("access rule delete", rule[0]["ID"])
        assert member.json("access rule list") == []
    with shell_of(cloud, "", **login, **first) as own:
        assert "401" in own.refused("token issue")


def test_credentials(admin: Shell, name: str) -> None:
    project = admin.json("project show", "admin")
    made = admin.json("credential create --type cert --project", project["id"], "admin", '{"a": 1}')
    admin("credential set --user admin --type cert --data", '{"a": 2}', made["id"])
    assert '{"a": 2}' in admin.json("credential show", made["id"]).values()
    assert made["id"] in names(admin.json("credential list"), "ID")
    admin("credential delete", made["id"])

    pair = admin.json("ec2 credentials create")
    assert pair["access"] in names(admin.json("ec2 credentials list"), "Access")
    assert admin.json("ec2 credentials show", pair["access"])["secret"] == pair["secret"]
    admin("ec2 credentials delete", pair["access"])
    assert pair["access"] not in names(admin.json("ec2 credentials list"), "Access")


def test_trusts(cloud: Cloud, admin: Shell) -> None:
    demo, member = admin.json("user show", "demo"), admin.json("role show", "member")
    with shell_of(cloud, "pileus") as trustor:
        project_id = trustor.json("token issue")["project_id"]
        given = ("--project", project_id, "--role", member["id"], "--impersonate", demo["id"], demo["id"])
        made = trustor.json("trust create", *given)
        assert made["trustor_user_id"] == demo["id"] and made["is_impersonation"] is True
        assert made["id"] in names(trustor.json("trust list --trustor", demo["id"]), "ID")
        assert trustor.json("trust show", made["id"])["project_id"] == made["project_id"]
        trustor("trust delete", made["id"])
        assert trustor.refused("trust show", made["id"])


def test_the_catalog_and_what_it_is_made_of(admin: Shell, name: str) -> None:
    admin("region create --description d", name)
    admin("region set --description e", name)
    assert admin.json("region show", name)["description"] == "e"
    service = admin.json("service create --name", name, "--description", "d", "telescope")
    admin("service set --description e", service["id"])
    endpoint = admin.json("endpoint create --region", name, service["id"], "public", "http://127.0.0.1/telescope")
    admin("endpoint set --url http://127.0.0.1/other", endpoint["id"])
    assert admin.json("endpoint show", endpoint["id"])["url"] == "http://127.0.0.1/other"
    assert endpoint["id"] in names(admin.json("endpoint list --service", service["id"]), "ID")
    assert name in names(admin.json("catalog list"))
    assert "telescope" in admin("catalog show", name)

    admin("endpoint delete", endpoint["id"])
    admin("service delete", service["id"])
    admin("region delete", name)
    assert name not in names(admin.json("catalog list"))
    assert name not in names(admin.json("region list"), "Region")


def test_limits(admin: Shell, name: str) -> None:
    service = admin.json("service create --name", name, "telescope")
    project = admin.json("project create", name)
    registered = admin.json("registered limit create --service", name, "--default-limit", "5", "lenses")
    limit = admin.json("limit create --project", name, "--service", name, "--resource-limit", "7", "lenses")

    admin("registered limit set --default-limit 6", registered["id"])
    admin("limit set --resource-limit 8", limit["id"])

    assert admin.json("registered limit show", registered["id"])["default_limit"] == 6
    assert admin.json("limit show", limit["id"])["resource_limit"] == 8
    assert registered["id"] in names(admin.json("registered limit list"), "ID")
    admin("limit delete", limit["id"])
    admin("registered limit delete", registered["id"])
    admin("project delete", project["id"])
    admin("service delete", service["id"])


def test_quotas(admin: Shell, name: str) -> None:
    project = admin.json("project create", name)
    admin("quota set --instances 3 --cores 7", project["id"])
    shown = {row["Resource"]: row["Limit"] for row in admin.json("quota show --compute", project["id"])}
    assert (shown["instances"], shown["cores"]) == (3, 7)
    admin("quota delete --compute", project["id"])
    shown = {row["Resource"]: row["Limit"] for row in admin.json("quota show --compute", project["id"])}
    assert shown["instances"] == 10
    assert admin.json("limits show --absolute")
    admin("usage list")
    admin("project delete", project["id"])


def test_tokens(admin: Shell) -> None:
    issued = admin.json("token issue")
    admin("token revoke", issued["id"])
    assert admin.refused("token revoke", issued["id"])


# ---------------------------------------------------------------- ways to log in


@dataclass
class Somebody:
    """A new member of a new project, and the options by which the command finds the cloud and the two."""

    user_id: str
    project_id: str
    name: str
    url: str
    password: str = "a-secret"

    @property
    def place(self) -> dict[str, str]:
        return {"OS_AUTH_URL": self.url, "OS_IDENTITY_API_VERSION": "3"}

    @property
    def user(self) -> dict[str, str]:
        return self.place | {"OS_USERNAME": self.name, "OS_USER_DOMAIN_ID": "default"}

    @property
    def project(self) -> dict[str, str]:
        return {"OS_PROJECT_ID": self.project_id}


@pytest.fixture
def somebody(admin: Shell, cloud: Cloud, name: str) -> Iterator[Somebody]:
    project = admin.json("project create", name)
    user = admin.json("user create --domain default --password a-secret", name)
    admin("role add --user", user["id"], "--project", project["id"], "member")
    yield Somebody(user["id"], project["id"], name, f"{cloud.url}/identity/v3")
    admin("user delete", user["id"])
    admin("project delete", project["id"])


def a_seed(admin: Shell, somebody: Somebody) -> bytes:
    seed = os.urandom(20)
    written = base64.b32encode(seed).decode()
    admin("credential create --type totp --project", somebody.project_id, somebody.user_id, written)
    return seed


def code(seed: bytes) -> str:
    return passcode(seed, int(time.time()) // STEP_S)


def test_a_token_logs_in(cloud: Cloud, somebody: Somebody) -> None:
    with shell_of(cloud, "", **somebody.user, OS_PASSWORD=somebody.password) as first:
        token = first.json("token issue")
    assert token["user_id"] == somebody.user_id and not token.get("project_id")

    with shell_of(cloud, "", **somebody.place, **somebody.project, OS_AUTH_TYPE="v3token", OS_TOKEN=token["id"]) as own:
        assert own.json("token issue")["project_id"] == somebody.project_id
        assert own.json("server list") == []


def test_a_passcode_logs_in(cloud: Cloud, admin: Shell, somebody: Somebody) -> None:
    seed = a_seed(admin, somebody)
    login = somebody.user | somebody.project | {"OS_AUTH_TYPE": "v3totp"}

    with shell_of(cloud, "", **login, OS_PASSCODE=code(seed)) as own:
        assert own.json("token issue")["user_id"] == somebody.user_id
        assert "401" in own.refused("token issue"), "a passcode is good once"


def test_a_password_and_a_passcode_log_in_by_a_receipt(
    cloud: Cloud, admin: Shell, somebody: Somebody, tmp_path: Path
) -> None:
    seed = a_seed(admin, somebody)
    admin("user set --enable-multi-factor-auth --multi-factor-auth-rule password,totp", somebody.user_id)
    with shell_of(cloud, "", **somebody.user, **somebody.project, OS_PASSWORD=somebody.password) as alone:
        assert "Not all required auth rules were satisfied" in alone.refused("token issue")
    where = {"auth_url": somebody.url, "project_id": somebody.project_id}
    who = {"username": somebody.name, "user_domain_id": "default", "password": somebody.password}
    entry = {
        "auth_type": "v3multifactor",
        "auth_methods": ["v3password", "v3totp"],
        "auth": where | who | {"passcode": code(seed)},
        "identity_api_version": "3",
        "region_name": "RegionOne",
    }
    file = tmp_path / "clouds.yaml"
    file.write_text(json.dumps({"clouds": {"mine": entry}}))  # JSON is YAML

    with shell_of(cloud, "mine", OS_CLIENT_CONFIG_FILE=str(file)) as own:
        assert own.json("token issue")["user_id"] == somebody.user_id


def test_a_trust_lets_its_trustee_act_in_the_trustor_s_name(cloud: Cloud, admin: Shell, somebody: Somebody) -> None:
    eve = admin.json("user create --domain default --password eve-secret", f"{somebody.name}-eve")
    member = admin.json("role show", "member")["id"]
    given = ("--project", somebody.project_id, "--role", member, "--impersonate", somebody.user_id, eve["id"])
    with shell_of(cloud, "", **somebody.user, **somebody.project, OS_PASSWORD=somebody.password) as trustor:
        trust = trustor.json("trust create", *given)["id"]
    login = somebody.place | {"OS_USERNAME": f"{somebody.name}-eve", "OS_USER_DOMAIN_ID": "default"}

    with shell_of(cloud, "", **login, OS_PASSWORD="eve-secret", OS_TRUST_ID=trust) as own:
        issued = own.json("token issue")
        assert (issued["user_id"], issued["project_id"]) == (somebody.user_id, somebody.project_id)
        assert own.json("server list") == []
        assert own.refused("application credential create more"), "it gets hold of no more than it was given"
    admin("user delete", eve["id"])


def test_consumers(admin: Shell) -> None:
    made = admin.json("consumer create --description first")
    assert made["secret"] and made["id"] in names(admin.json("consumer list"), "ID")

    admin("consumer set --description second", made["id"])

    assert admin.json("consumer show", made["id"])["description"] == "second"
    admin("consumer delete", made["id"])
    assert made["id"] not in names(admin.json("consumer list"), "ID")
