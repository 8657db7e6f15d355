"""Which options a domain may have of its own, and what they are for domains that have not.

Words and defaults: Keystone, "Domain configuration".  They describe where a domain's users would be kept; ours are in our own
database, so nothing reads them yet but their owners.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.errors import Forbidden, NotFound

Config = Mapping[str, Any]
"""Section -> option -> value, as a client writes it."""

# fmt: off
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "identity": {"driver": "sql", "list_limit": None},
    "ldap": {
        "url": "ldap://localhost", "user": None, "suffix": "cn=example,cn=com", "query_scope": "one", "page_size": 0,
        "alias_dereferencing": "default", "debug_level": None, "chase_referrals": None,
        "user_tree_dn": None, "user_filter": None, "user_objectclass": "inetOrgPerson", "user_id_attribute": "cn",
        "user_name_attribute": "sn", "user_mail_attribute": "mail", "user_description_attribute": "description",
        "user_pass_attribute": "userPassword", "user_enabled_attribute": "enabled", "user_enabled_invert": False,
        "user_enabled_mask": 0, "user_enabled_default": "True", "user_attribute_ignore": ["default_project_id"],
        "user_default_project_id_attribute": None, "user_enabled_emulation": False, "user_enabled_emulation_dn": None,
        "user_enabled_emulation_use_group_config": False, "user_additional_attribute_mapping": [],
        "group_tree_dn": None, "group_filter": None, "group_objectclass": "groupOfNames", "group_id_attribute": "cn",
        "group_name_attribute": "ou", "group_members_are_ids": False, "group_member_attribute": "member",
        "group_desc_attribute": "description", "group_attribute_ignore": [], "group_additional_attribute_mapping": [],
        "tls_cacertfile": None, "tls_cacertdir": None, "use_tls": False, "tls_req_cert": "demand",
        "use_pool": True, "pool_size": 10, "pool_retry_max": 3, "pool_retry_delay": 0.1, "pool_connection_timeout": -1,
        "pool_connection_lifetime": 600, "use_auth_pool": True, "auth_pool_size": 100,
        "auth_pool_connection_lifetime": 60,
    },
}
# fmt: on
SECRETS: Mapping[str, frozenset[str]] = {"ldap": frozenset({"password"})}
"""Taken and kept, never shown."""


def invalid(reason: str) -> Forbidden:
    return Forbidden(f"Invalid domain specific configuration: {reason}.")


def missing(domain_id: str, section: str | None = None, option: str | None = None) -> NotFound:
    """Named as closely as it was asked for."""
    what = "any options" if section is None else f"group {section}"
    if option is not None:
        what = f"option {option} in {what}"
    return NotFound(f"Could not find {what} in domain configuration for domain {domain_id}.")


def is_secret(section: str, option: str) -> bool:
    return option in SECRETS.get(section, ())


def must_know(section: str | None, option: str | None = None) -> None:
    """Forbidden for what no domain can have."""
    if section is None:
        return
    if section not in DEFAULTS:
        raise invalid(f"Group {section} is not supported for domain specific configurations")
    if option is not None and option not in DEFAULTS[section] and not is_secret(section, option):
        raise invalid(f"Option {option} in group {section} is not supported for domain specific configurations")


def must_be_whole(config: Config) -> None:
    """Forbidden unless it names options, in sections that have them."""
    if not config:
        raise invalid("No options specified")
    for section, options in config.items():
        if not options or not isinstance(options, dict):
            raise invalid(f"The value of group {section} specified in the config should be a dictionary of options")
        for option in options:
            must_know(section, option)


def must_be_only(config: Config, section: str, option: str | None) -> None:
    """Forbidden if a change of one section, or one option, names others."""
    other = next((name for name in config if name != section), None)
    if other is not None and len(config) == 1:
        raise invalid(f"request to update group {section}, but config provided contains group {other} instead")
    if other is not None:
        raise invalid(
            f"Trying to update group {section}, so that, and only that, group must be specified in the config"
        )
    if option is None:
        return
    other = next((name for name in config[section] if name != option), None)
    if other is not None and len(config[section]) == 1:
        raise invalid(
            f"Trying to update option {option} in group {section}, but config provided contains option {other} instead"
        )
    if other is not None:
        raise invalid(
            f"Trying to update option {option} in group {section}, so that, and only that, option must be specified "
            " in the config"
        )
