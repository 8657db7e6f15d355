"""The HTTP door: Keystone's API."""

from services.identity.api import (
    catalog,
    domains,
    grants,
    groups,
    keys,
    own,
    projects,
    role_assignments,
    roles,
    tokens,
    users,
    versions,
)

NOUNS = (versions, tokens, own, keys, domains, projects, users, groups, roles, role_assignments, catalog)
ROUTERS = (*(noun.router for noun in NOUNS), *grants.ROUTERS)
