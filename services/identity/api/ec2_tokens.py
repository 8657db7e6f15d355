"""Tokens for requests that were signed with an EC2 pair: `/v3/ec2tokens` and `/v3/s3tokens`.

Only a service that got such a request may ask (OSSA-2025-002): a signature that somebody saw pass by is worth nothing to others.
"""

from __future__ import annotations

import json

from fastapi import Request, Response
from sqlalchemy.orm import Session

from common.auth.tokens import NOT_VALID
from common.db.types import utc_now
from common.errors import Unauthenticated
from common.http import audit
from common.http.identity import Caller
from common.http.invalid import parsed
from common.http.json import Json
from services.identity.api.authentication import Proven
from services.identity.api.delegation import acting, grant
from services.identity.api.kit import Kit, KitOf
from services.identity.api.routing import Body, Router
from services.identity.api.schemas.auth import ProjectRef, ScopePart
from services.identity.api.schemas.delegation import Ec2Body, SignedPart
from services.identity.api.token_bodies import Body as Shown
from services.identity.api.tokens import SUBJECT, issued
from services.identity.core import ec2_signatures
from services.identity.core.ec2_signatures import Signed
from services.identity.db import credentials, users
from services.identity.db.credentials import EC2
from services.identity.db.delegation_tables import Credential

router = Router()

# fmt: off
RULES = {
    "identity:ec2tokens_validate":  "rule:admin_or_service",
    "identity:s3tokens_validate":   "rule:admin_or_service",
}
# fmt: on

NOBODYS_SECRET = "0" * 32


@router.make("/v3/ec2tokens", "identity:ec2tokens_validate", takes=Ec2Body, status=200)
def issue_for_ec2(request: Request, body: Body, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:ec2tokens_validate", caller)
    asked = parsed(Ec2Body, _renamed(body)).credentials
    audit.logging_in(request, access=asked.access)
    signed = _signed(asked)
    with kit.database.reading() as session:
        credential, secret = _pair(kit, session, asked.access)
        right = ec2_signatures.is_right(signed, secret) and ec2_signatures.is_fresh(signed, utc_now())
        token, answer = _issued(kit, session, credential if right else None)
    return Json(answer, headers={SUBJECT: token})


@router.make("/v3/s3tokens", "identity:s3tokens_validate", takes=Ec2Body, status=200)
def issue_for_s3(request: Request, body: Body, caller: Caller, kit: KitOf) -> Response:
    """Says who signed; the token itself is not given away."""
    kit.policy.must("identity:s3tokens_validate", caller)
    asked = parsed(Ec2Body, _renamed(body)).credentials
    audit.logging_in(request, access=asked.access)
    with kit.database.reading() as session:
        credential, secret = _pair(kit, session, asked.access)
        right = ec2_signatures.is_right_for_s3(secret, token=asked.token, signature=asked.signature)
        _, answer = _issued(kit, session, credential if right else None)
    return Json(answer)


def _renamed(body: object) -> object:
    """Old clients say `ec2Credentials`."""
    if isinstance(body, dict) and "credentials" not in body and "ec2Credentials" in body:
        return {"credentials": body["ec2Credentials"]}
    return body


def _signed(asked: SignedPart) -> Signed:
    return Signed(
        signature=asked.signature,
        host=asked.host,
        verb=asked.verb,
        path=asked.path,
        params={name: str(value) for name, value in asked.params.items()},
        headers={name.lower(): str(value) for name, value in asked.headers.items()},
        body_hash=asked.body_hash,
    )


def _pair(kit: Kit, session: Session, access: str) -> tuple[Credential | None, str]:
    """Nobody's secret when there is no such pair, so that the same is computed."""
    found = session.get(Credential, credentials.id_of_access(access))
    if found is None or found.type != EC2:
        return None, NOBODYS_SECRET
    pair = json.loads(kit.blobs.opened(found.sealed) or "{}")
    is_it = pair.get("access") == access
    return (found, str(pair["secret"])) if is_it else (None, NOBODYS_SECRET)


def _issued(kit: Kit, session: Session, credential: Credential | None) -> tuple[str, Shown]:
    """Unauthenticated without a credential, or when its user may do nothing on its project"""
    if credential is None:
        raise Unauthenticated(NOT_VALID, reason="no such EC2 pair, or another signature")
    bound = credential.application_credential_id
    proven = Proven(credential.user_id, ("ec2credential",), application_credential_id=bound)
    member = acting(kit, users.by_id(session, credential.user_id))
    got = grant(kit, session, member, proven, ScopePart(project=ProjectRef(id=credential.project_id)))
    return issued(kit, session, proven, got, utc_now())
