"""Secrets kept for users.  Identity API v3, "Credentials"."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import uuid4

from fastapi import Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from common.auth.callers import Caller as Who
from common.errors import InvalidInput
from common.http.identity import Caller
from common.http.invalid import parsed, strict_json
from common.http.json import Json
from services.identity.api.delegation import must_have_full_power
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import PageOf, answer, asked_for
from services.identity.api.routing import Body, Router
from services.identity.api.schemas.auth import expecting
from services.identity.api.schemas.delegation import ChangedCredential, CredentialBody, CredentialChange, NewCredential
from services.identity.db import credentials, projects, users
from services.identity.db.credentials import EC2
from services.identity.db.delegation_tables import Credential
from services.identity.db.lists import matching

router = Router()

# fmt: off
RULES = {
    "identity:get_credential":     "rule:cloud_reader or rule:owner",
    "identity:list_credentials":   "rule:cloud_reader or rule:owner",
    "identity:create_credential":  "rule:admin or rule:owner",
    "identity:update_credential":  "rule:admin or rule:owner",
    "identity:delete_credential":  "rule:admin or rule:owner",
}
# fmt: on

FILTERS = {"user_id": Credential.user_id, "type": Credential.type}


def shown(kit: Kit, credential: Credential) -> dict[str, Any]:
    return {
        **credential.extra,
        "id": credential.id,
        "user_id": credential.user_id,
        "project_id": credential.project_id,
        "type": credential.type,
        "blob": kit.blobs.opened(credential.sealed) or "",
        "links": {"self": f"{kit.url}/credentials/{credential.id}"},
    }


def _all_shown(kit: Kit, session: Session, found: Sequence[Credential]) -> list[dict[str, Any]]:
    return [shown(kit, one) for one in found]


@router.look("/v3/credentials", "identity:list_credentials", filters=FILTERS)
def list_credentials(request: Request, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    """Everybody's for those who may see them; one's own for all others."""
    must_have_full_power(caller, "identity:list_credentials")
    wanted = request.query_params.get("user_id")
    sees_all = kit.policy.allows("identity:list_credentials", caller, {"user_id": wanted or "another"})
    own = None if sees_all else caller.user_id
    query = matching(select(Credential), {Credential.user_id: own}).where(*asked_for(request, FILTERS))
    return answer(request, kit, "credentials", query, Credential.id, asked, partial(_all_shown, kit))


@router.look("/v3/credentials/{credential_id}", "identity:get_credential")
def show_credential(credential_id: str, caller: Caller, kit: KitOf) -> Response:
    with kit.database.reading() as session:
        return Json(
            {"credential": shown(kit, _guarded(kit, session, caller, credential_id, "identity:get_credential"))}
        )


@router.make("/v3/credentials", "identity:create_credential", takes=CredentialBody)
def create_credential(body: Body, caller: Caller, kit: KitOf) -> Response:
    asked = parsed(CredentialBody, body).credential
    user_id = asked.user_id or caller.user_id
    must_have_full_power(caller, "identity:create_credential")
    kit.policy.must("identity:create_credential", caller, {"user_id": user_id})
    credential = Credential(
        id=_id_for(asked),
        user_id=user_id,
        project_id=asked.project_id,
        type=asked.type,
        sealed=kit.blobs.closed(asked.blob),
        application_credential_id=caller.application_credential_id,
        extra=asked.additions(),
    )
    with kit.database.transaction() as session:
        users.known(session, user_id)
        if asked.project_id is not None and asked.type == EC2:
            projects.known(session, asked.project_id)
        credentials.add(session, credential)
    return Json({"credential": shown(kit, credential)}, 201)


@router.change("/v3/credentials/{credential_id}", "identity:update_credential", takes=CredentialChange)
def change_credential(credential_id: str, body: Body, caller: Caller, kit: KitOf) -> Response:
    """Its blob; whose it is and what for stays as it was made."""
    with kit.database.transaction() as session:
        credential = _guarded(kit, session, caller, credential_id, "identity:update_credential")
        asked = parsed(CredentialChange, body).credential
        _must_stay(credential, asked)
        if asked.blob is not None:
            if credential.type == EC2:
                access_in(asked.blob)
            credential.sealed = kit.blobs.closed(asked.blob)
        credential.extra = credential.extra | asked.additions()
    return Json({"credential": shown(kit, credential)})


@router.remove("/v3/credentials/{credential_id}", "identity:delete_credential")
def delete_credential(credential_id: str, caller: Caller, kit: KitOf) -> None:
    with kit.database.transaction() as session:
        session.delete(_guarded(kit, session, caller, credential_id, "identity:delete_credential"))


def _guarded(kit: Kit, session: Session, caller: Who, credential_id: str, rule: str) -> Credential:
    """Forbidden; NotFound only to whoever may see everybody's"""
    must_have_full_power(caller, rule)
    found = session.get(Credential, credential_id)
    kit.policy.must(rule, caller, {"user_id": found.user_id if found else None})
    return credentials.known(session, credential_id)


def _id_for(asked: NewCredential) -> str:
    if asked.type != EC2:
        return uuid4().hex
    if asked.project_id is None:
        raise expecting("project_id", "credential")
    return credentials.id_of_access(access_in(asked.blob))


def access_in(blob: str) -> str:
    """The access key of an EC2 pair.  InvalidInput"""
    found = strict_json(blob.encode()) if blob else None
    if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in ("access", "secret")):
        raise InvalidInput("Invalid blob in credential: an EC2 credential needs a JSON object with access and secret")
    return str(found["access"])


def _must_stay(credential: Credential, asked: ChangedCredential) -> None:
    for name in ("user_id", "project_id", "type"):
        if name in asked.model_fields_set and getattr(asked, name) != getattr(credential, name):
            raise InvalidInput(f"Invalid input for field/attribute {name}. It cannot be changed")
