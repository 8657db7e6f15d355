"""Count the statements that a block sends to a database: list and show paths must need a constant number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event

from common.db.database import Database


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements sent while the block runs, in order; beginnings and ends of transactions do not count."""
    sent: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        if not statement.startswith(("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA", "SAVEPOINT", "RELEASE")):
            sent.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
