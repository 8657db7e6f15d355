"""One service's database: SQLite in WAL mode (embedded) or PostgreSQL (distributed), the same to the code above.

`transaction()` is for writing, `reading()` for a consistent look.  Queries never commit; the block does.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from common import regular
from common.errors import InvalidInput, Unavailable

log = logging.getLogger(__name__)

WRITES = "pileus_writes"  # execution option: this connection's transactions take the write lock at once
LOCK_TIMEOUT_S = 30.0
STALLED_S = 20.0  # PostgreSQL ends a transaction that does nothing for so long: its process stands still, others wait
NO_REGULAR_EXPRESSION = "2201B"  # SQLSTATE


class Database:
    """Sessions on one database.  Thread-safe."""

    def __init__(self, url: str, *, pool_size: int = 10, synchronous: str = "FULL") -> None:
        """`synchronous` is SQLite's: FULL survives loss of power, NORMAL only that of the process."""
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = create_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=pool_size * 2,
            pool_timeout=LOCK_TIMEOUT_S,
            pool_pre_ping=not self.is_sqlite,
            hide_parameters=True,  # rows hold passwords for a while, and errors go to the log
            json_serializer=_write_json,
            json_deserializer=_read_json,
            connect_args={"timeout": LOCK_TIMEOUT_S, "check_same_thread": False}
            if self.is_sqlite
            else {"connect_timeout": 5, "options": f"-c idle_in_transaction_session_timeout={STALLED_S:g}s"},
        )
        tell_no_rows(self.engine)
        if self.is_sqlite:
            prepare_sqlite(self.engine, synchronous)
        self._writing = self.engine.execution_options(**{WRITES: True})
        self._one_writer = threading.Lock() if self.is_sqlite else None  # SQLite's own queue polls and is unfair

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session that may write: all of the block is committed, or nothing.  Unavailable if the database is away."""
        with self._turn(), plain_errors(), Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session for looking: one snapshot, nothing is kept.  Unavailable if the database is away."""
        with plain_errors(), Session(self.engine, expire_on_commit=False, autoflush=False) as session:
            yield session

    def ping(self) -> None:
        """Return if the database answers; Unavailable otherwise."""
        with self.reading() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        self.engine.dispose()

    def _turn(self) -> Any:
        if self._one_writer is None:
            return nullcontext()
        return _locked(self._one_writer)


def _write_json(value: Any) -> str:
    return orjson.dumps(value, default=str).decode()


def _read_json(kept: Any) -> Any:
    """SQLite keeps a column's JSON that is a mere number as that number."""
    return orjson.loads(kept) if isinstance(kept, str | bytes) else kept


@contextmanager
def _locked(lock: threading.Lock) -> Iterator[None]:
    if not lock.acquire(timeout=LOCK_TIMEOUT_S):
        raise Unavailable("The database is busy")
    try:
        yield
    finally:
        lock.release()


@contextmanager
def plain_errors() -> Iterator[None]:
    """A database that is away is Unavailable to everybody above; broken rules stay what they are."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        if _is_full(error.__cause__):
            raise Unavailable("The disk of the database is full") from error
        raise Unavailable("The database does not answer", cause=str(error.__cause__ or error)[:200]) from error
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == NO_REGULAR_EXPRESSION:
            raise InvalidInput("A filter is no regular expression that the database can read") from error
        if error.connection_invalidated:
            raise Unavailable("The database connection was lost") from error
        raise


def _is_full(cause: BaseException | None) -> bool:
    """Nothing of the transaction was kept; reading goes on."""
    return getattr(cause, "sqlite_errorname", "") == "SQLITE_FULL" or getattr(cause, "sqlstate", "") == "53100"


def tell_no_rows(engine: Engine) -> None:
    """PostgreSQL says in a DETAIL which row it refused, with every value in it: not for the log."""

    @event.listens_for(engine, "handle_error")
    def shorten(context: ExceptionContext) -> None:
        for error in (context.original_exception, context.sqlalchemy_exception):
            if error is not None and error.args:
                error.args = (str(error.args[0]).partition("\nDETAIL:")[0], *error.args[1:])


def prepare_sqlite(engine: Engine, synchronous: str) -> None:
    """Set the pragmas, and take transactions over from the driver: it starts them too late for a consistent read.

    REGEXP is ours: SQLAlchemy's, by Python's `re`, can be kept busy for years by one pattern.
    """

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None
        connection.create_function("regexp", 2, regular.found, deterministic=True)
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={synchronous}",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            "cache_size=-4000",
            "mmap_size=67108864",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begins(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
