"""The consoles that are open, and the end of those whose leave has ended: within two looks, a second apart."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

from common.errors import Conflict, PlatformError
from services.compute.console.grants import Grant
from services.compute.core.consoles import hash_of

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
PASS_BYTES = 32
MOST_CONNECTIONS = 8  # of one session besides its first; a SPICE client has three


class Session:
    """One open console.  `over` is set to the reason when it has to end, and when it has ended.

    `key` is what its further connections begin with: told to its viewer alone, and good for as long as the session is.
    """

    def __init__(self, grant: Grant) -> None:
        self.grant = grant
        self.key = secrets.token_urlsafe(PASS_BYTES)
        self.connections = 0
        self.over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def end(self, reason: str) -> None:
        if not self.over.done():
            self.over.set_result(reason)


class Sessions:
    """Of one process and one event loop.  While none is open, nothing is looked at."""

    def __init__(self, standing: Callable[[Collection[Grant]], Mapping[Grant, str]], *, per_server: int) -> None:
        """`standing` tells why each grant that has ended did; it may block."""
        self._standing, self._per_server = standing, per_server
        self._open: set[Session] = set()
        self._by_key: dict[str, Session] = {}  # by the key's hash: a look-up in it tells nothing of a key
        self._watch: asyncio.Task[None] | None = None

    @contextmanager
    def opened(self, grant: Grant) -> Iterator[Session]:
        """A session for the block.  Conflict if the server has too many"""
        if Counter(one.grant.server_id for one in self._open)[grant.server_id] >= self._per_server:
            raise Conflict(f"Server {grant.server_id} has as many open consoles as one may have: {self._per_server}")
        session = Session(grant)
        self._open.add(session)
        self._by_key[hash_of(session.key)] = session
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._look_on())
        try:
            yield session
        finally:
            session.end("Its first connection has ended")
            self._open.discard(session)
            del self._by_key[hash_of(session.key)]

    def of(self, key: str) -> Session | None:
        return self._by_key.get(hash_of(key))

    @contextmanager
    def joined(self, session: Session) -> Iterator[Session]:
        """A further connection of it for the block.  Conflict if it has too many"""
        if session.connections >= MOST_CONNECTIONS:
            raise Conflict("This console has as many connections as one may have")
        session.connections += 1
        try:
            yield session
        finally:
            session.connections -= 1

    async def _look_on(self) -> None:
        while self._open:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                ended = await asyncio.to_thread(self._standing, [one.grant for one in self._open])
            except PlatformError as error:  # while the database is away, what is open stays open
                log.warning("open consoles not looked at", extra={"why": error.message})
                continue
            for session in list(self._open):
                if (reason := ended.get(session.grant)) is not None:
                    session.end(reason)
