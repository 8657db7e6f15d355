"""The HTTP door: Keystone's API."""

from common.auth.policy import merged
from services.identity.api import (
    catalog,
    domain_config,
    domains,
    grants,
    groups,
    implied_roles,
    keys,
    memberships,
    own,
    passwords,
    policy,
    project_tags,
    projects,
    role_assignments,
    roles,
    tokens,
    users,
    versions,
)

NOUNS = (
    versions,
    tokens,
    own,
    keys,
    domain_config,
    domains,
    projects,
    project_tags,
    users,
    passwords,
    groups,
    memberships,
    roles,
    implied_roles,
    role_assignments,
    catalog,
)
ROUTERS = (*(noun.router for noun in NOUNS), *grants.ROUTERS)
RULES = merged(policy.SHARED, *(noun.RULES for noun in (*NOUNS, grants)))
