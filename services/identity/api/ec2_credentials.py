"""A user's EC2 key pairs.  Identity API v3, "OS-EC2 (extension)"; kept as credentials of type `ec2`."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from fastapi import Request, Response
from sqlalchemy.orm import Session

from common.auth.callers import Caller as Who
from common.errors import NotFound
from common.http.identity import Caller
from common.http.invalid import parsed
from common.http.json import Json
from services.identity.api.delegation import must_have_full_power
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import listed
from services.identity.api.routing import Body, Router
from services.identity.api.schemas.delegation import NewEc2Credential
from services.identity.db import credentials, projects, users
from services.identity.db.credentials import EC2
from services.identity.db.delegation_tables import Credential

router = Router()
PAIRS = "/v3/users/{user_id}/credentials/OS-EC2"

# fmt: off
RULES = {
    "identity:ec2_get_credential":     "rule:cloud_reader or rule:owner",
    "identity:ec2_list_credentials":   "rule:cloud_reader or rule:owner",
    "identity:ec2_create_credential":  "rule:admin or (role:member and rule:owner)",
    "identity:ec2_delete_credential":  "rule:admin or (role:member and rule:owner)",
}
# fmt: on


def shown(kit: Kit, credential: Credential) -> dict[str, Any]:
    pair = json.loads(kit.blobs.opened(credential.sealed) or "{}")
    access = pair.get("access")
    return {
        "user_id": credential.user_id,
        "tenant_id": credential.project_id,
        "access": access,
        "secret": pair.get("secret"),
        "trust_id": credential.trust_id,
        "links": {"self": f"{kit.url}/users/{credential.user_id}/credentials/OS-EC2/{access}"},
    }


@router.look(PAIRS, "identity:ec2_list_credentials")
def list_pairs(request: Request, user_id: str, caller: Caller, kit: KitOf) -> Response:
    with kit.database.reading() as session:
        _guard(kit, session, caller, user_id, "identity:ec2_list_credentials")
        found = [shown(kit, one) for one in credentials.of_user(session, user_id, EC2)]
    return listed(request, kit, "credentials", found)


@router.make(PAIRS, "identity:ec2_create_credential", takes=NewEc2Credential)
def create_pair(user_id: str, body: Body, caller: Caller, kit: KitOf) -> Response:
    """Whether the user has a role on the project is asked whenever the pair is used."""
    access, secret = uuid4().hex, uuid4().hex
    with kit.database.transaction() as session:
        _guard(kit, session, caller, user_id, "identity:ec2_create_credential")
        asked = parsed(NewEc2Credential, body)
        projects.known(session, asked.tenant_id)
        credential = Credential(
            id=credentials.id_of_access(access),
            user_id=user_id,
            project_id=asked.tenant_id,
            type=EC2,
            sealed=kit.blobs.closed(json.dumps({"access": access, "secret": secret})),
            application_credential_id=caller.application_credential_id,
            extra={},
        )
        credentials.add(session, credential)
    return Json({"credential": shown(kit, credential)}, 201)


@router.look(PAIRS + "/{access}", "identity:ec2_get_credential")
def show_pair(user_id: str, access: str, caller: Caller, kit: KitOf) -> Response:
    with kit.database.reading() as session:
        _guard(kit, session, caller, user_id, "identity:ec2_get_credential")
        return Json({"credential": shown(kit, _pair(session, user_id, access))})


@router.remove(PAIRS + "/{access}", "identity:ec2_delete_credential")
def delete_pair(user_id: str, access: str, caller: Caller, kit: KitOf) -> None:
    with kit.database.transaction() as session:
        _guard(kit, session, caller, user_id, "identity:ec2_delete_credential")
        session.delete(_pair(session, user_id, access))


def _guard(kit: Kit, session: Session, caller: Who, user_id: str, rule: str) -> None:
    """Forbidden, NotFound"""
    must_have_full_power(caller, rule)
    kit.policy.must(rule, caller, {"user_id": user_id})
    users.known(session, user_id)


def _pair(session: Session, user_id: str, access: str) -> Credential:
    """Also of another user there is none here."""
    credential_id = credentials.id_of_access(access)
    found = session.get(Credential, credential_id)
    if found is None or found.user_id != user_id or found.type != EC2:
        raise NotFound(f"Could not find credential: {credential_id}.")
    return found
