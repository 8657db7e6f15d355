"""What travels on the bus: calls that are answered, events that are told, and the envelope around both.

A message class is the contract between two processes: it is declared once, in the `contract.py` of the service
that answers or tells.  Unknown fields are ignored and new ones have defaults, so two releases can share a bus.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from common.fencing import Fence

R = TypeVar("R")


class Message(BaseModel):
    """A frozen body; its type on the wire is the class name."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)  # user data crosses the bus

    version: ClassVar[int] = 1  # raised only when an old reader must not touch the message


class Call(Message, Generic[R]):
    """A question with an answer of type R.  Delivered at least once: answering twice must do no harm."""

    queue: ClassVar[str]  # "compute" (any worker) or, for one host, the prefix of "compute.host.<name>"
    timeout_s: ClassVar[float]  # after this long nobody starts on it, and the caller stops waiting

    @classmethod
    @cache
    def answer_type(cls) -> TypeAdapter[Any]:
        """How the answer is read and written."""
        for parent in cls.__mro__:
            generic = parent.__dict__.get("__pydantic_generic_metadata__", {})
            if generic.get("origin") is Call:
                return TypeAdapter(generic["args"][0])
        raise TypeError(f"{cls.__name__} does not say what its answer is")


class Event(Message):
    """Something that happened.  Losing one never loses state."""

    topic: ClassVar[str]  # dotted, for the topic exchange: "compute.server.changed"


class Failure(BaseModel):
    """An error on its way back to the caller."""

    code: str
    message: str


class Envelope(BaseModel):
    """Everything about a message but its body."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    id: UUID = Field(default_factory=uuid4)
    type: str
    version: int = 1
    body: dict[str, Any]
    deadline: datetime | None = None  # calls only
    reply_to: str | None = None  # calls only
    request_id: str | None = None
    saga_id: UUID | None = None
    fence: Fence | None = None  # calls only
    project_id: str | None = None
    traceparent: str | None = None


class Reply(BaseModel):
    """The answer to the call with this id: a value, or a failure."""

    id: UUID
    answer: Any = None
    failure: Failure | None = None
