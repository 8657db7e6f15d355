"""Who somebody is: the methods of a log-in, each proving one user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from common.auth.callers import Caller
from common.auth.tokens import NOT_VALID
from common.errors import Unauthenticated
from services.identity.api import password_logins
from services.identity.api.kit import Kit
from services.identity.api.schemas.auth import IdentityPart, UserRef, expecting

UNSUPPORTED = "Attempted to authenticate with an unsupported method."


@dataclass(frozen=True, slots=True)
class Proven:
    """A user who showed who it is."""

    user_id: str
    methods: tuple[str, ...]
    parent: Caller | None = None  # whose token was shown


def prove(kit: Kit, identity: IdentityPart) -> Proven:
    """The user, if every method asked for proves the same one.  Unauthenticated, InvalidInput"""
    names = tuple(dict.fromkeys(identity.methods))  # the same one twice is one
    if not names:
        raise expecting("methods", "identity")
    if not set(names) <= METHODS.keys():
        raise Unauthenticated(UNSUPPORTED)
    proven = [METHODS[name](kit, identity) for name in names]
    if len({one.user_id for one in proven}) != 1:
        raise Unauthenticated(NOT_VALID)
    methods = dict.fromkeys(names + tuple(method for one in proven for method in one.methods))
    parent = next((one.parent for one in proven if one.parent), None)
    return Proven(proven[0].user_id, tuple(methods), parent)


def _by_token(kit: Kit, identity: IdentityPart) -> Proven:
    if identity.token is None:
        raise expecting("token", "identity")
    parent = kit.verifier.verify(identity.token.id)
    return Proven(parent.user_id, parent.methods, parent)


def _by_password(kit: Kit, identity: IdentityPart) -> Proven:
    if identity.password is None:
        raise expecting("password", "identity")
    asked = identity.password.user
    _well_named(asked)
    return Proven(password_logins.log_in(kit, asked).user.id, ("password",))


def _well_named(asked: UserRef) -> None:
    if asked.id is None and asked.name is None:
        raise expecting("id or name", "user")
    if asked.id is None and (asked.domain is None or (asked.domain.id is None and asked.domain.name is None)):
        raise expecting("domain", "user")


METHODS: dict[str, Callable[[Kit, IdentityPart], Proven]] = {"password": _by_password, "token": _by_token}
