"""Log lines as JSON: a fixed sentence and facts; request, saga and trace ids are added for you.

Values whose name says they are secret never reach a line, and long ones are cut: what a client chose at 256 characters.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from contextvars import ContextVar, Token
from datetime import UTC, datetime
from functools import lru_cache
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any, Generic, TypeVar
from uuid import uuid4

import orjson

V = TypeVar("V")

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
saga_id: ContextVar[str | None] = ContextVar("saga_id", default=None)
traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)

LONGEST_VALUE, LONGEST_REASON, LONGEST_MESSAGE = 256, 1024, 2048
REASONS = frozenset(("why", "error", "reason"))  # our own words, and those of the programs that we use
SECRET = re.compile(
    r"pass(word|wd|_)|secret|token|private_key|credential|user_data|authorization|cookie", re.IGNORECASE
)
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


def new_request_id() -> str:
    """`req-<uuid>`, the form that clients look for."""
    return f"req-{uuid4()}"


def child_traceparent(parent: str | None) -> str:
    """A W3C trace context for work done here: the parent's trace id if it is well formed, a new span id."""
    found = re.fullmatch(r"00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})", parent or "")
    trace, flags = found.groups() if found and set(found[1]) != {"0"} else (uuid4().hex, "01")
    return f"00-{trace}-{uuid4().hex[:16]}-{flags}"


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "from": record.name,
            "message": _short(record.getMessage(), LONGEST_MESSAGE),
        }
        for name, variable in (("request_id", request_id), ("saga_id", saga_id), ("traceparent", traceparent)):
            if (value := variable.get()) is not None:
                line[name] = value
        line |= {key: _safe(key, value) for key, value in vars(record).items() if key not in _PLAIN}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


class ForPeople(logging.Formatter):
    """The same facts, readable on a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        facts = " ".join(
            f"{key}={_on_one_line(_safe(key, value))}" for key, value in vars(record).items() if key not in _PLAIN
        )
        at = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        message = escaped(_short(record.getMessage(), LONGEST_MESSAGE))
        return f"{at} {record.levelname.lower():7} {message}  {facts}".rstrip() + trace


def start(*, level: str = "info", form: str = "json", stream: Any = None, audit_log: Path | None = None) -> None:
    """Send this process's log to `stream` (standard error); `form` is "json" or "text".  Audit has a file of its own."""
    _leave_out_what_no_line_shows()
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else ForPeople())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("httpx", "httpcore", "amqp", "kombu", "alembic", "uvicorn.access"):
        logging.getLogger(chatty).setLevel("WARNING")
    audit = logging.getLogger("audit")
    audit.setLevel("INFO")  # whatever the rest of the log leaves out
    if audit_log is not None:
        audit.handlers, audit.propagate = [_audit_handler(audit_log)], False


def _leave_out_what_no_line_shows() -> None:
    """To find out the caller's file, thread and process takes longer than the rest of a line (Python's logging HOWTO)."""
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def _audit_handler(file: Path) -> logging.Handler:
    """For its owner alone; opened again when the file was moved away."""
    handler = WatchedFileHandler(file, encoding="utf-8", delay=True)
    handler._open = lambda: open(file, "a", encoding="utf-8", opener=_private)  # type: ignore[method-assign]  # noqa: SIM115
    handler.setFormatter(JsonLines())
    return handler


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


class bound(Generic[V]):
    """`with bound(saga_id, "…"):` sets a context variable for the block."""

    def __init__(self, variable: ContextVar[V], value: V) -> None:
        self._variable, self._value = variable, value

    def __enter__(self) -> None:
        self._before: Token[V] = self._variable.set(self._value)

    def __exit__(self, *_: object) -> None:
        self._variable.reset(self._before)


def escaped(text: str) -> str:
    """Without characters that would begin a line, move or hide others."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)


def _on_one_line(value: Any) -> str:
    """A value that holds spaces stands in quotation marks: no fact can look like another one."""
    text = escaped(str(value))
    return orjson.dumps(text).decode() if " " in text or '"' in text else text


def _safe(key: str, value: Any) -> Any:
    if _is_secret(key):
        return "***"
    most = LONGEST_REASON if key in REASONS else LONGEST_VALUE
    return _short(value, most) if isinstance(value, str) else value


@lru_cache(1024)
def _is_secret(key: str) -> bool:
    return SECRET.search(key) is not None


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 30]}… ({len(text)} characters)"
