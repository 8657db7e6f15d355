"""The connection to libvirtd: calls with a deadline, and a new connection when the old one has died.

Guests don't need libvirtd to run, so its restart is no event for them; here it means one failed call at most.  Each
call runs on a thread that its caller waits for only so long: a call that hangs holds up nobody else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from time import monotonic
from typing import TypeVar

import libvirt

from common.errors import DeadlineExceeded, Unavailable
from services.compute.drivers.libvirt.errors import plain

log = logging.getLogger(__name__)
T = TypeVar("T")

KEEPALIVE_S = 5
KEEPALIVE_MISSED = 3
BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

_loop_lock = Lock()
_loop_runs = False


class Connection:
    def __init__(self, uri: str, *, call_timeout_s: float, on_open: Callable[[libvirt.virConnect], None]) -> None:
        """`on_open` gets each new connection before anybody else, on a thread where it may call libvirt."""
        self.uri = uri
        self._call_timeout_s = call_timeout_s
        self._on_open = on_open
        self._current: libvirt.virConnect | None = None
        self._opening = Lock()
        self._closed = Event()
        self._lost = Event()
        _run_event_loop()
        Thread(target=self._keep_open, name=f"reconnect {uri}", daemon=True).start()

    def call(self, work: Callable[[libvirt.virConnect], T], *, timeout_s: float | None = None, **facts: object) -> T:
        """What `work` returns; its libvirt errors as ours, DeadlineExceeded if it takes too long.

        After a deadline nobody knows whether the work was done; it may even be done later.
        """
        limit_s = timeout_s or self._call_timeout_s
        answers: SimpleQueue[tuple[T, None] | tuple[None, BaseException]] = SimpleQueue()
        Thread(target=self._answer, args=(work, facts, answers), name="libvirt call", daemon=True).start()
        try:
            value, error = answers.get(timeout=limit_s)
        except Empty:
            raise DeadlineExceeded(f"libvirt did not answer within {limit_s:g} s", uri=self.uri, **facts) from None
        if error is not None:
            raise error
        return value  # type: ignore[return-value]  # with no error there is a value

    def close(self) -> None:
        self._closed.set()
        self._lost.set()
        current, self._current = self._current, None
        if current is not None:
            Thread(target=_close, args=(current,), daemon=True).start()

    def _answer(
        self,
        work: Callable[[libvirt.virConnect], T],
        facts: dict[str, object],
        answers: SimpleQueue[tuple[T, None] | tuple[None, BaseException]],
    ) -> None:
        try:
            answers.put((self._attempt(work, facts), None))
        except BaseException as error:
            answers.put((None, error))

    def _attempt(self, work: Callable[[libvirt.virConnect], T], facts: dict[str, object]) -> T:
        connection = self._connected()
        try:
            return work(connection)
        except libvirt.libvirtError as error:
            if _is_alive(connection):
                raise plain(error, **facts) from error
            self._lost.set()
            raise Unavailable("The connection to libvirt was lost", uri=self.uri, **facts) from error

    def _connected(self) -> libvirt.virConnect:
        """The living connection; a new one if there is none."""
        current = self._current
        if current is not None and _is_alive(current):
            return current
        with self._opening:
            current = self._current
            if current is not None and _is_alive(current):
                return current
            if self._closed.is_set():
                raise Unavailable("The connection to libvirt has been closed", uri=self.uri)
            self._current = self._open()
            return self._current

    def _open(self) -> libvirt.virConnect:
        fresh: libvirt.virConnect | None = None
        try:
            fresh = libvirt.open(self.uri)
            with suppress(libvirt.libvirtError):  # drivers inside this process have nobody to ping
                fresh.setKeepAlive(KEEPALIVE_S, KEEPALIVE_MISSED)
            with suppress(libvirt.libvirtError):
                fresh.registerCloseCallback(self._told_of_loss, None)
            self._on_open(fresh)
        except libvirt.libvirtError as error:
            if fresh is not None:
                _close(fresh)
            self._lost.set()
            raise Unavailable(f"libvirt does not answer at {self.uri}", uri=self.uri, said=str(error)) from error
        log.info("connected to libvirt", extra={"uri": self.uri})
        return fresh

    def _told_of_loss(self, _connection: libvirt.virConnect, reason: int, _opaque: None) -> None:
        if not self._closed.is_set():
            log.warning("connection to libvirt lost", extra={"uri": self.uri, "reason": reason})
        self._lost.set()

    def _keep_open(self) -> None:
        """Reconnect without waiting for a call: events must go on."""
        while not self._closed.is_set():
            self._lost.wait()
            self._lost.clear()
            self._reopen()

    def _reopen(self) -> None:
        attempt, started = 0, monotonic()
        while not self._closed.wait(BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)]):
            try:
                self._connected()
            except Exception as error:  # whatever it is, this thread goes on: without it nobody hears of guests
                attempt += 1
                if attempt == len(BACKOFF_S):
                    log.warning("libvirt is still away", extra={"uri": self.uri, "error": str(error)})
            else:
                self._lost.clear()
                log.debug("libvirt is there", extra={"uri": self.uri, "after_s": monotonic() - started})
                return


def _is_alive(connection: libvirt.virConnect) -> bool:
    try:
        return bool(connection.isAlive())
    except libvirt.libvirtError:
        return False


def _close(connection: libvirt.virConnect) -> None:
    with suppress(libvirt.libvirtError):
        connection.unregisterCloseCallback()
    with suppress(libvirt.libvirtError):
        connection.close()


def _run_event_loop() -> None:
    """libvirt's event loop, once per process; must exist before the first connection is opened."""
    global _loop_runs
    with _loop_lock:
        if _loop_runs:
            return
        libvirt.registerErrorHandler(_ignore_error, None)
        libvirt.virEventRegisterDefaultImpl()
        Thread(target=_event_loop, name="libvirt events", daemon=True).start()
        _loop_runs = True


def _event_loop() -> None:
    while True:
        with suppress(libvirt.libvirtError):
            libvirt.virEventRunDefaultImpl()


def _ignore_error(_context: None, _error: object) -> None:
    """libvirt prints errors that it also raises; once is enough."""
