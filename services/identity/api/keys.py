"""What other services check tokens with: public keys for anybody, the revocation list for the cloud's own processes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool

from common.auth.tokens import Revocation
from common.db.types import utc_now
from common.errors import InvalidInput
from common.http.identity import authenticated
from common.http.json import Json
from services.identity.api.kit import KitOf
from services.identity.api.routing import Router
from services.identity.core.keys import jwk
from services.identity.core.proofs import HEADER, is_proof
from services.identity.core.times import written
from services.identity.db import revocations

router = Router()

# fmt: off
RULES = {
    "identity:list_revoke_events":  "rule:admin_or_service",
}
# fmt: on


@router.look("/v3/.well-known/jwks.json")
def list_keys(kit: KitOf) -> Response:
    """Public keys of all tokens that may still live (RFC 7517).  Needs no token."""
    with kit.database.reading() as session:
        return Json({"keys": [jwk(key.id, key.public) for key in kit.keyring.published(session)]})


@router.look("/v3/OS-REVOKE/events", "identity:list_revoke_events")
async def list_revocations(request: Request, kit: KitOf, since: str | None = None) -> Response:
    """The revocations that matter, those from `since` on.  For admins, services and the cloud's own processes."""
    if not is_proof(request.headers.get(HEADER, ""), kit.secret):
        kit.policy.must("identity:list_revoke_events", await authenticated(request))
    found = await run_in_threadpool(_listed, kit, _moment(since))
    url = f"{kit.url}/OS-REVOKE/events"
    links = {"next": None, "self": f"{url}?{request.url.query}" if request.url.query else url, "previous": None}
    return Json({"events": [_event(one) for one in found], "links": links})


def _listed(kit: KitOf, since: datetime | None) -> list[Revocation]:
    with kit.database.reading() as session:
        return list(revocations.since(session, now=utc_now(), issued_before=since))


def _moment(since: str | None) -> datetime | None:
    if not since:
        return None
    try:
        found = datetime.fromisoformat(since)
    except ValueError as error:
        raise InvalidInput(f"Invalid input for field/attribute since. Value: {since[:64]}. It is no time") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _event(one: Revocation) -> dict[str, Any]:
    """Keystone's event; `id` and `listed_until` are ours."""
    ends = one.model_dump(exclude={"issued_before", "expires_at"}, exclude_none=True)
    return ends | {"issued_before": written(one.issued_before), "listed_until": written(one.expires_at)}
