"""A process that stands still in the middle of a transaction keeps what it locked from others for a while, not for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from common.db.database import Database
from tests.conftest import ROOT

STALLED = """
import sys
from sqlalchemy import text
from common.db import database
from common.errors import Unavailable

database.STALLED_S = 2
try:
    with database.Database(sys.argv[1]).transaction() as session:
        session.execute(text("UPDATE jars SET shelf = 'oak'"))
        print("locked", flush=True)
        sys.stdin.readline()
        session.execute(text("UPDATE jars SET shelf = 'fir'"))
except Unavailable as error:
    print(error.message, flush=True)
"""


@contextmanager
def stopped(url: str) -> Iterator[subprocess.Popen[str]]:
    """A process that was stopped after it had locked a row."""
    command = [sys.executable, "-c", STALLED, url]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "locked\n"
            os.kill(process.pid, signal.SIGSTOP)
            yield process
        finally:
            process.kill()


def test_what_a_process_locked_before_it_stood_still_becomes_free(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    with database.transaction() as session:
        session.execute(text("CREATE TABLE jars (shelf text)"))
        session.execute(text("INSERT INTO jars VALUES ('pine')"))

    with stopped(postgresql_url) as stalled:
        with database.transaction() as session:
            session.execute(text("SET LOCAL lock_timeout = '60s'"))
            session.execute(text("UPDATE jars SET shelf = 'ash'"))
        os.kill(stalled.pid, signal.SIGCONT)
        said, _ = stalled.communicate("go on\n", timeout=60)

    with database.reading() as session:
        assert session.scalar(text("SELECT shelf FROM jars")) == "ash"
    assert said in ("The database does not answer\n", "The database connection was lost\n")
    database.close()
