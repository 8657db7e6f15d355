"""OAuth 1 consumers.  Identity API v3 extension OS-OAUTH1."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import uuid4

from fastapi import Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from common.errors import NotFound
from common.http.identity import Caller
from common.http.invalid import parsed
from common.http.json import Json
from services.identity.api.changing import change
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import PageOf, answer
from services.identity.api.routing import Body, Router
from services.identity.api.schemas.policies import ConsumerBody, ConsumerFields
from services.identity.core.seals import TextSeal
from services.identity.db.delegation_tables import Consumer

router = Router()

# fmt: off
RULES = {
    "identity:get_consumer":     "rule:cloud_reader",
    "identity:list_consumers":   "rule:cloud_reader",
    "identity:create_consumer":  "rule:admin",
    "identity:update_consumer":  "rule:admin",
    "identity:delete_consumer":  "rule:admin",
}
# fmt: on

PURPOSE = "oauth consumers"


def shown(kit: Kit, consumer: Consumer) -> dict[str, Any]:
    """Without its secret, which is told once."""
    return {
        **consumer.extra,
        "id": consumer.id,
        "description": consumer.description,
        "links": {"self": f"{kit.url}/OS-OAUTH1/consumers/{consumer.id}"},
    }


def all_shown(kit: Kit, session: Session, found: Sequence[Consumer]) -> list[dict[str, Any]]:
    return [shown(kit, consumer) for consumer in found]


@router.look("/v3/OS-OAUTH1/consumers", "identity:list_consumers")
def list_consumers(request: Request, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    kit.policy.must("identity:list_consumers", caller)
    return answer(request, kit, "consumers", select(Consumer), Consumer.id, asked, partial(all_shown, kit))


@router.look("/v3/OS-OAUTH1/consumers/{consumer_id}", "identity:get_consumer")
def show_consumer(consumer_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:get_consumer", caller)
    with kit.database.reading() as session:
        return Json({"consumer": shown(kit, _known(session, consumer_id))})


@router.make("/v3/OS-OAUTH1/consumers", "identity:create_consumer", takes=ConsumerBody)
def create_consumer(body: Body, caller: Caller, kit: KitOf) -> Response:
    """The only answer that tells the secret."""
    kit.policy.must("identity:create_consumer", caller, {})
    asked = parsed(ConsumerBody, body).consumer
    secret = secrets.token_hex(16)
    consumer = Consumer(
        id=uuid4().hex,
        description=asked.description,
        sealed=TextSeal(kit.secret, PURPOSE).closed(secret),
        extra=asked.additions(),
    )
    with kit.database.transaction() as session:
        session.add(consumer)
    return Json({"consumer": shown(kit, consumer) | {"secret": secret}}, 201)


@router.change("/v3/OS-OAUTH1/consumers/{consumer_id}", "identity:update_consumer", takes=ConsumerBody)
def update_consumer(consumer_id: str, body: Body, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:update_consumer", caller, {})
    with kit.database.transaction() as session:
        consumer = _known(session, consumer_id)
        asked: ConsumerFields = change(ConsumerBody, body, "consumer", consumer_id)
        for name, value in asked.given("description").items():
            setattr(consumer, name, value)
        consumer.extra = consumer.extra | asked.additions()
    return Json({"consumer": shown(kit, consumer)})


@router.remove("/v3/OS-OAUTH1/consumers/{consumer_id}", "identity:delete_consumer")
def delete_consumer(consumer_id: str, caller: Caller, kit: KitOf) -> None:
    kit.policy.must("identity:delete_consumer", caller, {})
    with kit.database.transaction() as session:
        session.delete(_known(session, consumer_id))


def _known(session: Session, consumer_id: str) -> Consumer:
    """NotFound, in Keystone's words."""
    if (consumer := session.get(Consumer, consumer_id)) is None:
        raise NotFound(f"Could not find Consumer: {consumer_id}.")
    return consumer
