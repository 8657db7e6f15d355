"""Options that a domain has of its own."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from services.identity.api.domain_config import PURPOSE
from services.identity.core.domain_config import DEFAULTS, SECRETS
from services.identity.core.seals import TextSeal
from services.identity.db.tables import DomainOption
from tests.unit.identity.worlds import World, scope_to, with_settings

CONFIG = "/v3/domains/default/config"
OURS = {"identity": {"driver": "ldap"}, "ldap": {"url": "ldap://corp", "user_tree_dn": "ou=people", "pool_size": 3}}


def send(world: World, method: str, path: str, config: object) -> Any:
    return world.http.request(method, path, headers=world.as_(), json={"config": config})


def shown(world: World, path: str = CONFIG) -> Any:
    return world.get(path, world.as_())["config"]


def message(answer: Any) -> str:
    return str(answer.json()["error"]["message"])


def test_a_config_is_put_shown_in_parts_and_replaced(world: World) -> None:
    made, again = send(world, "PUT", CONFIG, OURS), send(world, "PUT", CONFIG, OURS)

    assert (made.status_code, again.status_code, made.json()) == (201, 200, {"config": OURS})
    assert shown(world) == OURS
    assert shown(world, f"{CONFIG}/ldap") == {"ldap": OURS["ldap"]}
    assert shown(world, f"{CONFIG}/ldap/pool_size") == {"pool_size": 3}
    assert world.http.head(f"{CONFIG}/ldap/url", headers=world.as_()).status_code == 200
    assert send(world, "PUT", CONFIG, {"identity": {"list_limit": 5}}).json()["config"] == {
        "identity": {"list_limit": 5}
    }


def test_a_change_keeps_what_it_does_not_name(world: World) -> None:
    send(world, "PUT", CONFIG, OURS)

    whole = send(world, "PATCH", CONFIG, {"ldap": {"url": "ldap://new"}, "identity": {"list_limit": 5}})
    section = send(world, "PATCH", f"{CONFIG}/identity", {"identity": {"driver": "sql"}})
    option = send(world, "PATCH", f"{CONFIG}/ldap/pool_size", {"pool_size": 4})

    assert (whole.status_code, section.status_code, option.status_code) == (200, 200, 200)
    assert option.json()["config"] == {
        "identity": {"driver": "sql", "list_limit": 5},
        "ldap": {"url": "ldap://new", "user_tree_dn": "ou=people", "pool_size": 4},
    }


def test_parts_and_all_of_it_are_removed(world: World) -> None:
    send(world, "PUT", CONFIG, OURS)
    admin = world.as_()

    gone = [world.http.delete(f"{CONFIG}{part}", headers=admin).status_code for part in ("/ldap/url", "/identity", "")]
    again = [world.http.delete(f"{CONFIG}{part}", headers=admin) for part in ("/ldap/url", "/identity", "")]

    assert gone == [204, 204, 204] and [one.status_code for one in again] == [404, 404, 204]
    assert message(world.http.get(CONFIG, headers=admin)) == (
        "Could not find any options in domain configuration for domain default."
    )


def test_a_secret_is_kept_sealed_and_never_shown(world: World) -> None:
    secret = {"ldap": {"url": "ldap://corp", "password": "hunter-2"}}

    answers = send(world, "PUT", CONFIG, secret), send(world, "PATCH", f"{CONFIG}/ldap/password", {"password": "h-3"})

    with world.kit.database.reading() as session:
        query = select(DomainOption.value).where(DomainOption.name == "password")
        kept = session.scalars(query).one()
    assert all(one.json() == {"config": {"ldap": {"url": "ldap://corp"}}} for one in answers)
    assert shown(world) == {"ldap": {"url": "ldap://corp"}}
    assert world.http.get(f"{CONFIG}/ldap/password", headers=world.as_()).status_code == 404
    assert "h-3" not in kept and TextSeal(world.kit.secret, PURPOSE).opened(kept) == '"h-3"'


@pytest.mark.parametrize(
    ("method", "path", "config", "status", "said"),
    [
        ("PUT", "", {}, 403, "No options specified."),
        ("PUT", "", {"ldap": {}}, 403, "The value of group ldap specified in the config should be a dictionary"),
        ("PUT", "", {"ldap": "url"}, 403, "The value of group ldap specified in the config should be a dictionary"),
        ("PUT", "", {"cache": {"a": 1}}, 403, "Group cache is not supported for domain specific configurations."),
        ("PUT", "", {"ldap": {"a": 1}}, 403, "Option a in group ldap is not supported for domain specific"),
        ("PUT", "", [], 400, "is not of type 'object'"),
        ("PUT", "", {"ldap": {"url": "a\0b"}}, 400, "cannot be stored"),
        ("PATCH", "/cache", {"cache": {"a": 1}}, 403, "Group cache is not supported"),
        ("PATCH", "/identity", {"identity": {"driver": "sql"}}, 404, "Could not find group identity in domain config"),
        ("PATCH", "/ldap/user", {"user": "x"}, 404, "Could not find option user in group ldap in domain config"),
        ("PATCH", "/ldap", {"identity": {"driver": "sql"}}, 403, "but config provided contains group identity instead"),
        ("PATCH", "/ldap", OURS, 403, "so that, and only that, group must be specified"),
        ("PATCH", "/ldap/url", {"user": "x"}, 403, "but config provided contains option user instead"),
        ("PATCH", "/ldap/url", {"url": "x", "user": "x"}, 403, "so that, and only that, option must be specified"),
        ("GET", "/cache", None, 403, "Group cache is not supported"),
        ("GET", "/ldap/a", None, 403, "Option a in group ldap is not supported"),
        ("GET", "/identity", None, 404, "Could not find group identity"),
        ("DELETE", "/ldap/a", None, 403, "Option a in group ldap is not supported"),
    ],
)
def test_what_cannot_be_is_refused_in_keystones_words(
    world: World, method: str, path: str, config: object, status: int, said: str
) -> None:
    send(world, "PUT", CONFIG, {"ldap": {"url": "ldap://corp"}})

    answer = send(world, method, CONFIG + path, config)

    assert answer.status_code == status and said in message(answer)
    assert shown(world) == {"ldap": {"url": "ldap://corp"}}


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_an_unknown_domain_is_named(world: World, method: str) -> None:
    answer = send(world, method, "/v3/domains/none/config", OURS)

    assert answer.status_code == 404 and message(answer) == "Could not find domain: none."


def test_the_defaults_are_shown_in_parts(world: World) -> None:
    known, base = shown(world, "/v3/domains/config/default"), "/v3/domains/config"

    assert {name: set(options) for name, options in known.items()} == {
        name: set(options) for name, options in DEFAULTS.items()
    }
    assert known["identity"] == {"driver": "sql", "list_limit": world.kit.settings.list_limit}
    assert shown(world, f"{base}/ldap/default") == {"ldap": known["ldap"]}
    assert shown(world, f"{base}/ldap/query_scope/default") == {"query_scope": "one"}
    assert world.http.get(f"{base}/cache/default", headers=world.as_()).status_code == 403
    assert world.http.get(f"{base}/ldap/password/default", headers=world.as_()).status_code == 403


def test_no_secret_has_a_default() -> None:
    assert not any(SECRETS[section] & set(DEFAULTS[section]) for section in SECRETS)


@with_settings(password_regex="^.{8,}$", password_regex_description="8 characters")
def test_everybody_may_read_what_a_password_must_be(world: World) -> None:
    demo, path = world.as_("demo", "unscoped"), f"{CONFIG}/security_compliance"

    rules = {"password_regex": "^.{8,}$", "password_regex_description": "8 characters"}
    assert world.get(path, demo) == {"config": {"security_compliance": rules}}
    assert world.get(f"{path}/password_regex", demo) == {"config": {"password_regex": "^.{8,}$"}}
    assert world.http.get(f"{path}/lockout_duration", headers=demo).status_code == 403
    assert world.http.get("/v3/domains/none/config/security_compliance", headers=demo).status_code == 404
    assert world.http.patch(path, headers=demo, json={}).status_code == 403


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_nobody_else_may_touch_the_rest(world: World, method: str) -> None:
    demo = world.as_("demo", scope_to("demo"))

    assert world.http.request(method, CONFIG, headers=demo, json={"config": OURS}).status_code == 403
    assert world.http.get("/v3/domains/config/default", headers=demo).status_code == 403
