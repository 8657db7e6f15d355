"""Count the statements and transactions that a block costs a database: list and show paths must need a constant number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event

from common.db.database import Database


class Sent(list[str]):
    """The statements, in order, and in how many transactions they were sent."""

    transactions = 0


@contextmanager
def counted(database: Database) -> Iterator[Sent]:
    """The statements sent while the block runs; beginnings and ends of transactions do not count."""
    sent = Sent()

    def begin(_: object) -> None:
        sent.transactions += 1

    def note(_: object, __: object, statement: str, *___: object) -> None:
        if not statement.startswith(("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA", "SAVEPOINT", "RELEASE")):
            sent.append(statement)

    event.listen(database.engine, "begin", begin)
    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(database.engine, "begin", begin)
        event.remove(database.engine, "before_cursor_execute", note)
