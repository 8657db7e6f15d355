"""The HTTP door: Keystone's API."""

from services.identity.api import keys, tokens, versions

ROUTERS = (versions.router, tokens.router, keys.router)
