"""Options that a domain has of its own.  Identity API v3, "Domain configuration"."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import Response
from sqlalchemy.orm import Session

from common.auth.callers import Caller as Who
from common.http.identity import Caller
from common.http.invalid import parsed
from common.http.json import Json
from services.identity.api.kit import Kit, KitOf
from services.identity.api.routing import Body, Router
from services.identity.api.schemas.domain_config import ConfigBody
from services.identity.core.bootstrap import DEFAULT_DOMAIN
from services.identity.core.domain_config import (
    DEFAULTS,
    Config,
    invalid,
    is_secret,
    missing,
    must_be_only,
    must_be_whole,
    must_know,
)
from services.identity.core.seals import TextSeal
from services.identity.db import domain_config, projects

router = Router()

# fmt: off
RULES = {
    "identity:get_domain_config":          "rule:cloud_reader",
    "identity:get_domain_config_default":  "rule:cloud_reader",
    "identity:create_domain_config":       "rule:admin",
    "identity:update_domain_config":       "rule:admin",
    "identity:delete_domain_config":       "rule:admin",
    "identity:get_security_compliance_domain_config": "rule:everybody",
}
# fmt: on

PURPOSE = "pileus domain configuration"
WHOLE = "/v3/domains/{domain_id}/config"
SECTION = WHOLE + "/{section}"
OPTION = SECTION + "/{option}"
PASSWORDS = WHOLE + "/security_compliance"


@router.look("/v3/domains/config/default", "identity:get_domain_config_default")
def show_defaults(caller: Caller, kit: KitOf) -> Response:
    """What counts where a domain says nothing."""
    return _show_default(kit, caller)


@router.look("/v3/domains/config/{section}/default", "identity:get_domain_config_default")
def show_default_section(section: str, caller: Caller, kit: KitOf) -> Response:
    return _show_default(kit, caller, section)


@router.look("/v3/domains/config/{section}/{option}/default", "identity:get_domain_config_default")
def show_default_option(section: str, option: str, caller: Caller, kit: KitOf) -> Response:
    return _show_default(kit, caller, section, option)


def _show_default(kit: Kit, caller: Who, section: str | None = None, option: str | None = None) -> Response:
    kit.policy.must("identity:get_domain_config_default", caller, {})
    must_know(section, option)
    known: dict[str, dict[str, Any]] = {name: dict(options) for name, options in DEFAULTS.items()}
    known["identity"]["list_limit"] = kit.settings.list_limit
    if section is None:
        return Json({"config": known})
    if option is None:
        return Json({"config": {section: known[section]}})
    if is_secret(section, option):
        raise invalid(f"Reading the default for option {option} in group {section} is not supported")
    return Json({"config": {option: known[section][option]}})


@router.look(PASSWORDS, "identity:get_security_compliance_domain_config")
def show_password_rules(domain_id: str, caller: Caller, kit: KitOf) -> Response:
    """What a new password must be: for everybody who has to choose one."""
    return _show_password_rules(kit, caller, domain_id)


@router.look(PASSWORDS + "/{option}", "identity:get_security_compliance_domain_config")
def show_password_rule(domain_id: str, option: str, caller: Caller, kit: KitOf) -> Response:
    return _show_password_rules(kit, caller, domain_id, option)


def _show_password_rules(kit: Kit, caller: Who, domain_id: str, option: str | None = None) -> Response:
    kit.policy.must("identity:get_security_compliance_domain_config", caller, {})
    with kit.database.reading() as session:
        projects.known_domain(session, domain_id)
    if domain_id != DEFAULT_DOMAIN:
        raise invalid(
            "Reading security compliance information for any domain other than the default domain is not allowed or "
            "supported."
        )
    readable = {
        "password_regex": kit.settings.password_regex or None,
        "password_regex_description": kit.settings.password_regex_description or None,
    }
    if option is None:
        return Json({"config": {"security_compliance": readable}})
    if option not in readable:
        raise invalid(
            "Reading security compliance values other than password_regex and password_regex_description is not "
            "allowed."
        )
    return Json({"config": {option: readable[option]}})


@router.look(WHOLE, "identity:get_domain_config")
def show_config(domain_id: str, caller: Caller, kit: KitOf) -> Response:
    """All but the secrets."""
    return _show(kit, caller, domain_id)


@router.look(SECTION, "identity:get_domain_config")
def show_section(domain_id: str, section: str, caller: Caller, kit: KitOf) -> Response:
    return _show(kit, caller, domain_id, section)


@router.look(OPTION, "identity:get_domain_config")
def show_option(domain_id: str, section: str, option: str, caller: Caller, kit: KitOf) -> Response:
    return _show(kit, caller, domain_id, section, option)


def _show(kit: Kit, caller: Who, domain_id: str, section: str | None = None, option: str | None = None) -> Response:
    kit.policy.must("identity:get_domain_config", caller, {})
    must_know(section, option)
    with kit.database.reading() as session:
        projects.known_domain(session, domain_id)
        found = _shown(session, domain_id, section, option)
    if not found:
        raise missing(domain_id, section, option)
    return Json({"config": found[section] if section and option else found})


@router.assign(WHOLE, "identity:create_domain_config", takes=ConfigBody)
def replace_config(domain_id: str, body: Body, caller: Caller, kit: KitOf) -> Response:
    """What there was goes."""
    kit.policy.must("identity:create_domain_config", caller, {})
    with kit.database.transaction() as session:
        projects.known_domain(session, domain_id)
        config = parsed(ConfigBody, body).config
        must_be_whole(config)
        had_any = domain_config.has_any(session, domain_id)
        domain_config.remove(session, domain_id)
        _put(kit, session, domain_id, config)
        return Json({"config": _shown(session, domain_id)}, 200 if had_any else 201)


@router.change(WHOLE, "identity:update_domain_config", takes=ConfigBody)
def change_config(domain_id: str, body: Body, caller: Caller, kit: KitOf) -> Response:
    """What is not named stays."""
    return _change(kit, caller, body, domain_id)


@router.change(SECTION, "identity:update_domain_config", takes=ConfigBody)
def change_section(domain_id: str, section: str, body: Body, caller: Caller, kit: KitOf) -> Response:
    """The section must be there already."""
    return _change(kit, caller, body, domain_id, section)


@router.change(OPTION, "identity:update_domain_config", takes=ConfigBody)
def change_option(domain_id: str, section: str, option: str, body: Body, caller: Caller, kit: KitOf) -> Response:
    """The option must be there already; the body names it without its section."""
    return _change(kit, caller, body, domain_id, section, option)


def _change(
    kit: Kit, caller: Who, body: Any, domain_id: str, section: str | None = None, option: str | None = None
) -> Response:
    kit.policy.must("identity:update_domain_config", caller, {})
    with kit.database.transaction() as session:
        projects.known_domain(session, domain_id)
        config: Config = parsed(ConfigBody, body).config
        if section and option:
            config = {section: config}
        must_be_whole(config)
        must_know(section, option)
        if section is not None:
            must_be_only(config, section, option)
            if not domain_config.has_any(session, domain_id, section, option):
                raise missing(domain_id, section, option)
        _put(kit, session, domain_id, config)
        return Json({"config": _shown(session, domain_id)})


@router.remove(WHOLE, "identity:delete_domain_config")
def remove_config(domain_id: str, caller: Caller, kit: KitOf) -> None:
    """Twice is once."""
    _remove(kit, caller, domain_id)


@router.remove(SECTION, "identity:delete_domain_config")
def remove_section(domain_id: str, section: str, caller: Caller, kit: KitOf) -> None:
    _remove(kit, caller, domain_id, section)


@router.remove(OPTION, "identity:delete_domain_config")
def remove_option(domain_id: str, section: str, option: str, caller: Caller, kit: KitOf) -> None:
    _remove(kit, caller, domain_id, section, option)


def _remove(kit: Kit, caller: Who, domain_id: str, section: str | None = None, option: str | None = None) -> None:
    kit.policy.must("identity:delete_domain_config", caller, {})
    must_know(section, option)
    with kit.database.transaction() as session:
        projects.known_domain(session, domain_id)
        if section is not None and not domain_config.has_any(session, domain_id, section):
            raise missing(domain_id, section)
        if option is not None and not domain_config.has_any(session, domain_id, section, option):
            raise missing(domain_id, section, option)
        domain_config.remove(session, domain_id, section, option)


def _shown(
    session: Session, domain_id: str, section: str | None = None, option: str | None = None
) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for one in domain_config.of_domain(session, domain_id, section, option):
        if not is_secret(one.section, one.name):
            found.setdefault(one.section, {})[one.name] = one.value
    return found


def _put(kit: Kit, session: Session, domain_id: str, config: Config) -> None:
    seal = TextSeal(kit.secret, PURPOSE)
    for section, options in config.items():
        for option, value in options.items():
            kept = seal.closed(orjson.dumps(value).decode()) if is_secret(section, option) else value
            domain_config.put(session, domain_id, section, option, kept)
    session.flush()
