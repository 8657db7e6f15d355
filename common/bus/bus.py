"""The bus as the code above sees it; `amqp.py` and `memory.py` are the two ways to have one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

from pydantic import ValidationError

from common import log as ids
from common.bus.messages import Call, Envelope, Event, Failure, Message, Reply
from common.errors import KINDS, DeadlineExceeded, InvalidInput, PlatformError
from common.fencing import begin_before, fence

log = logging.getLogger(__name__)

R = TypeVar("R")
C = TypeVar("C", bound=Call[Any])
E = TypeVar("E", bound=Event)
F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Handlers:
    """What one process answers: `@handlers.serves(StartGuest)` on a function of (call, kit)."""

    calls: dict[str, tuple[type[Call[Any]], Callable[..., Any]]] = field(default_factory=dict)
    events: dict[str, tuple[type[Event], Callable[..., Any]]] = field(default_factory=dict)

    def serves(self, kind: type[C]) -> Callable[[F], F]:
        """Register the one function that answers this call."""

        def register(function: F) -> F:
            if kind.__name__ in self.calls:
                raise ValueError(f"{kind.__name__} is answered twice")
            self.calls[kind.__name__] = (kind, function)
            return function

        return register

    def hears(self, kind: type[E]) -> Callable[[F], F]:
        """Register a function that wants to know of this event."""

        def register(function: F) -> F:
            self.events[kind.__name__] = (kind, function)
            return function

        return register

    def bound(self, kit: Any) -> Handlers:
        """The same, with `kit` as every function's second argument."""
        return Handlers(
            {name: (kind, _with(function, kit)) for name, (kind, function) in self.calls.items()},
            {name: (kind, _with(function, kit)) for name, (kind, function) in self.events.items()},
        )

    def answer(self, envelope: Envelope) -> Reply:
        """Do what the call asks.  Never raises: what goes wrong is the reply."""
        if envelope.deadline is not None and envelope.deadline < datetime.now(UTC):
            return _failure(envelope.id, DeadlineExceeded(f"{envelope.type} came too late to be started"))
        try:
            kind, function = self.calls[envelope.type]
            with carrying(envelope):
                value = function(kind.model_validate(envelope.body))
            return Reply(id=envelope.id, answer=kind.answer_type().dump_python(value, mode="json"))
        except KeyError:
            return _failure(envelope.id, InvalidInput(f"Nobody here answers {envelope.type}"))
        except ValidationError as error:
            return _failure(envelope.id, InvalidInput(f"{envelope.type} is malformed: {error.error_count()} faults"))
        except PlatformError as error:
            log.info("call refused", extra={"call": envelope.type, "why": error.message, **error.facts})
            return _failure(envelope.id, error)
        except Exception as error:
            log.exception("call failed", extra={"call": envelope.type})
            return _failure(envelope.id, PlatformError(f"{envelope.type} failed: {type(error).__name__}"))

    def tell(self, envelope: Envelope) -> None:
        """Let the function for this event know.  Never raises."""
        if (known := self.events.get(envelope.type)) is None:
            return
        try:
            with carrying(envelope):
                known[1](known[0].model_validate(envelope.body))
        except Exception:
            log.exception("event not taken", extra={"event": envelope.type})


class Bus(Protocol):
    """Calls to one answerer, events to whoever listens.  Thread-safe; all methods survive an absent broker."""

    def call(self, call: Call[R], *, host: str | None = None, timeout_s: float | None = None) -> R:
        """The answer, from any process that serves the call's queue, or from one host's.

        Raises the error that the answerer raised; Unavailable if the call cannot be sent; DeadlineExceeded if no answer
        comes within `timeout_s` (the class's own by default), and then nobody knows whether it was done.
        """

    def send(self, call: Call[Any], *, host: str | None = None) -> None:
        """The same without waiting for an answer: a hint that may be lost.  Never raises."""

    def tell(self, event: Event) -> None:
        """Publish an event.  Never raises: losing one never loses state."""

    def serve(self, queue: str, handlers: Handlers, *, threads: int = 8) -> None:
        """Answer what comes to `queue` ("compute", "compute.host.<name>") until `close`."""

    def listen(self, topic: str, handlers: Handlers) -> None:
        """Hear events whose topic matches ("identity.*", "compute.server.#"); each process gets its own copy."""

    def deaf_since(self) -> datetime | None:
        """Since when the broker has been away; None while all is well."""

    def close(self) -> None:
        """Finish or hand back what is held, then stop."""


def wrap(message: Message, *, deadline: datetime | None = None, reply_to: str | None = None) -> Envelope:
    """The message in an envelope that carries this thread's ids, and its fence."""
    saga, last = ids.saga_id.get(), begin_before.get()
    return Envelope(
        type=type(message).__name__,
        version=message.version,
        body=message.model_dump(mode="json"),
        deadline=min(deadline, last) if deadline and last else deadline,
        reply_to=reply_to,
        request_id=ids.request_id.get(),
        saga_id=UUID(saga) if saga else None,
        fence=fence.get(),
        traceparent=ids.traceparent.get(),
    )


def unwrap(call: Call[R], reply: Reply) -> R:
    """The answer as the caller's type; raises what the answerer raised."""
    if reply.failure is not None:
        raise KINDS.get(reply.failure.code, PlatformError)(reply.failure.message)
    return call.answer_type().validate_python(reply.answer)  # type: ignore[no-any-return]


def queue_of(call: Call[Any], host: str | None) -> str:
    return f"{call.queue}.{host}" if host else call.queue


deadline: ContextVar[datetime | None] = ContextVar("deadline", default=None)
"""Until when whoever called waits for what this thread does; None outside of calls."""


def must_be_in_time() -> None:
    """DeadlineExceeded if the caller gave up meanwhile: for handlers that had to wait before they could begin."""
    until = deadline.get()
    if until is not None and until < datetime.now(UTC):
        raise DeadlineExceeded("The turn came too late for the caller")


class carrying:
    """For the block, this thread's ids, deadline and fence are those of the envelope."""

    def __init__(self, envelope: Envelope) -> None:
        self._bound = (
            ids.bound(ids.request_id, envelope.request_id),
            ids.bound(ids.saga_id, str(envelope.saga_id) if envelope.saga_id else None),
            ids.bound(ids.traceparent, ids.child_traceparent(envelope.traceparent)),
            ids.bound(deadline, envelope.deadline),
            ids.bound(fence, envelope.fence),
        )

    def __enter__(self) -> None:
        for one in self._bound:
            one.__enter__()

    def __exit__(self, *error: object) -> None:
        for one in reversed(self._bound):
            one.__exit__(*error)


def _failure(call_id: UUID, error: PlatformError) -> Reply:
    return Reply(id=call_id, failure=Failure(code=error.code, message=error.message))


def _with(function: Callable[..., Any], kit: Any) -> Callable[..., Any]:
    return lambda message: function(message, kit)
