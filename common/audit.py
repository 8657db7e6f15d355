"""What an audit event tells, whichever service it comes from."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from common.bus.messages import Event


class Activity(Event):
    """Something that somebody did, or was not let do; each service tells its own kind."""

    topic: ClassVar[str] = "audit.activity"

    id: UUID
    at: datetime
    service: str
    action: str  # the policy rule that was asked, else method and path
    method: str
    path: str  # with the names of its parameters
    target: dict[str, str]  # parameter of the path -> id
    made: str | None = None  # where what was made is found
    initiator: dict[str, Any]  # empty: nobody whom we know
    tried: dict[str, str] = {}  # as whom somebody tried to log in
    client: str
    agent: str
    outcome: str  # "success", "failure", "refused"
    status: int
    reason: str | None = None  # the kind of error
    rule: str | None = None  # that refused
    request_id: str | None = None
    global_request_id: str | None = None
