"""Who somebody is: the methods of a log-in, each proving one user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from common.auth.callers import Caller
from common.auth.tokens import NOT_VALID
from common.errors import NotFound, Unauthenticated
from services.identity.api import application_logins, password_logins
from services.identity.api.kit import Kit
from services.identity.api.schemas.auth import IdentityPart, UserRef, expecting

UNSUPPORTED = "Attempted to authenticate with an unsupported method."


@dataclass(frozen=True, slots=True)
class Proven:
    """A user who showed who it is."""

    user_id: str
    methods: tuple[str, ...]
    parent: Caller | None = None  # whose token was shown
    application_credential_id: str | None = None  # whose power, and no more, it has


def prove(kit: Kit, identity: IdentityPart, receipt: Caller | None = None) -> Proven:
    """The user, if every method asked for proves the same one.  Unauthenticated, InvalidInput

    `receipt`: what the user showed a little while ago, which counts as if it were shown now.
    """
    names = tuple(dict.fromkeys(identity.methods))  # the same one twice is one
    if not names:
        raise expecting("methods", "identity")
    if not set(names) <= METHODS.keys():
        raise Unauthenticated(UNSUPPORTED)
    proven = [METHODS[name](kit, identity) for name in names]
    proven += [Proven(receipt.user_id, receipt.methods)] if receipt else []
    if len({one.user_id for one in proven}) != 1:
        raise Unauthenticated(NOT_VALID)
    methods = dict.fromkeys(names + tuple(method for one in proven for method in one.methods))
    parent = next((one.parent for one in proven if one.parent), None)
    credential_id = next((one.application_credential_id for one in proven if one.application_credential_id), None)
    return Proven(proven[0].user_id, tuple(methods), parent, credential_id)


def claimed(identity: IdentityPart) -> dict[str, str | None]:
    """Who somebody says to be, before anything is proven: for the audit log."""
    said: dict[str, str | None] = {"methods": " ".join(identity.methods)}
    credential = identity.application_credential
    users = [method.user for method in (identity.password, identity.totp, credential) if method and method.user]
    if users:
        user = users[0]
        said |= {"user_id": user.id, "user_name": user.name}
        said["domain"] = (user.domain.id or user.domain.name) if user.domain else None
    if credential is not None:
        said["application_credential"] = credential.id or credential.name
    return said


def _by_token(kit: Kit, identity: IdentityPart) -> Proven:
    """NotFound for a token that is none, or no longer: it is looked for, and does not ask."""
    if identity.token is None:
        raise expecting("token", "identity")
    try:
        parent = kit.verifier.verify(identity.token.id)
    except Unauthenticated as error:
        raise NotFound("Failed to validate token") from error
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


def _by_application_credential(kit: Kit, identity: IdentityPart) -> Proven:
    if identity.application_credential is None:
        raise expecting("application_credential", "identity")
    row = application_logins.by_secret(kit, identity.application_credential)
    return Proven(row.user_id, ("application_credential",), application_credential_id=row.id)


def _by_passcode(kit: Kit, identity: IdentityPart) -> Proven:
    if identity.totp is None:
        raise expecting("totp", "identity")
    return Proven(application_logins.by_passcode(kit, identity.totp.user), ("totp",))


METHODS: dict[str, Callable[[Kit, IdentityPart], Proven]] = {
    "password": _by_password,
    "token": _by_token,
    "application_credential": _by_application_credential,
    "totp": _by_passcode,
}
