"""Setting passwords: by an administrator, and by their owners.  Identity API v3, "Change password for user"."""

from __future__ import annotations

from fastapi import Request

from common.db.types import utc_now
from common.errors import InvalidInput
from common.http import audit
from common.http.invalid import parsed
from services.identity.api import guesses, password_logins
from services.identity.api.kit import Kit, KitOf
from services.identity.api.routing import Body, Router
from services.identity.api.schemas.auth import UserRef
from services.identity.api.schemas.users import PasswordChangeBody
from services.identity.core.password_rules import Options
from services.identity.db import users
from services.identity.db.tables import User
from services.identity.db.users import NewPassword

router = Router()
RULES: dict[str, str] = {}


@router.make("/v3/users/{user_id}/password", takes=PasswordChangeBody, status=204)
def change_own_password(request: Request, user_id: str, body: Body, kit: KitOf) -> None:
    """Needs no token, so that who has an expired password can choose another one.  The user's tokens end."""
    asked = parsed(PasswordChangeBody, body).user
    audit.logging_in(request, user_id=user_id)
    with guesses.counted(kit, request):
        user = password_logins.whose(kit, UserRef(id=user_id, password=asked.original_password)).user
    _may_take(kit, user, asked.password)
    password = new(kit, asked.password, user.options, by_owner=True)
    with kit.database.transaction() as session:
        users.set_password(session, users.known(session, user_id, locked=True), password, remember=remembered(kit))
        event = kit.revoke(session, user_id=user_id)
    kit.bus.tell(event)


def new(kit: Kit, password: str | None, options: Options, *, by_owner: bool = False) -> NewPassword:
    """The password as it is stored, if the rules for what it looks like are met.  InvalidInput"""
    now = utc_now()
    if password is None:
        return NewPassword(None, now, None, by_owner)
    if not kit.passwords.may_be_one(password):
        raise InvalidInput("Invalid input for field/attribute password. The password is empty or too long")
    kit.password_rules.accept(password)
    with kit.passwords.turn():
        hashed = kit.passwords.hash(password)
    return NewPassword(hashed, now, kit.password_rules.expires_at(now, options, by_owner=by_owner), by_owner)


def remembered(kit: Kit) -> int:
    """How many former passwords are kept: all that must differ but the new and the present one."""
    return max(kit.password_rules.unique_last - 1, 0)


def _may_take(kit: Kit, user: User, password: str) -> None:
    """What only owners are held to: an administrator's word counts more.  InvalidInput"""
    rules = kit.password_rules
    set_by_owner = not user.must_change_password
    rules.may_change(user.options, set_at=user.password_set_at, set_by_owner=set_by_owner, now=utc_now())
    if not rules.unique_last or not kit.passwords.may_be_one(password):
        return
    with kit.database.reading() as session:
        used = [user.password_hash, *users.former_passwords(session, user.id, remembered(kit))]
    with kit.passwords.turn():
        if any(kit.passwords.matches(one, password) for one in used):
            raise rules.used_before()
