"""Log-ins in several steps: who showed one of the methods that its rules demand gets a receipt, and comes back with the next.

A receipt is signed like a token, for nobody but this service; it lives for minutes and ends when the user's tokens end.
Keystone's guide, "Multi-Factor Authentication"; Identity API v3, "Authentication and token management - Receipts".
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from uuid import uuid4

from fastapi import Request, Response
from sqlalchemy.orm import Session

from common.auth.callers import Caller
from common.auth.tokens import NOT_VALID, key_id, read_token
from common.errors import Unauthenticated
from common.http.json import Json
from services.identity.api.kit import Kit
from services.identity.core.times import written
from services.identity.db import revocations
from services.identity.db.users import Member

HEADER = "openstack-auth-receipt"
AUDIENCE = "receipt"


def shown(kit: Kit, request: Request) -> Caller | None:
    """The receipt that came with the request.  Unauthenticated when it is none, or no longer"""
    given = request.headers.getlist(HEADER)
    if not given:
        return None
    if len(given) != 1:
        raise Unauthenticated(NOT_VALID)
    with kit.database.reading() as session:
        receipt = read_token(given[0], kit.keyring.public(session, key_id(given[0])), audience=AUDIENCE)
        if revocations.ends(session, receipt):
            raise Unauthenticated(NOT_VALID)
    return receipt


def answer(
    kit: Kit, session: Session, member: Member, methods: tuple[str, ...], rules: list[list[str]], now: datetime
) -> Response:
    """401 with a receipt for what was shown, and what would be enough."""
    receipt = Caller(
        user_id=member.user.id,
        user_domain_id=member.domain.id,
        issued_at=now,
        expires_at=(now + timedelta(seconds=kit.settings.receipt_lifetime_s)).replace(microsecond=0),
        audit_ids=(urlsafe_b64encode(uuid4().bytes).decode().rstrip("="),),
        methods=methods,
    )
    user = {
        "domain": {"id": member.domain.id, "name": member.domain.name},
        "id": member.user.id,
        "name": member.user.name,
    }
    told = {
        "methods": list(methods),
        "user": user,
        "expires_at": written(receipt.expires_at),
        "issued_at": written(now),
    }
    headers = {
        HEADER: kit.keyring.sign(session, receipt, audience=AUDIENCE),
        "www-authenticate": f'Keystone uri="{kit.url}"',
    }
    return Json({"receipt": told, "required_auth_methods": rules}, 401, headers=headers)
