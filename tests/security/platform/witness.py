"""Sees what others could see of a cloud: arguments and environments of processes, messages on the broker."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from kombu import Connection, Exchange, Queue
from kombu.message import Message


@dataclass
class Witness:
    """Everything seen since the beginning, each thing once."""

    seen: set[bytes] = field(default_factory=set)
    _over: threading.Event = field(default_factory=threading.Event)

    def tells(self, secret: str) -> list[bytes]:
        """The beginnings of what holds the secret."""
        return [one[:200] for one in self.seen if secret.encode() in one]

    @contextmanager
    def watching_processes(self) -> Iterator[Witness]:
        """Short-lived ones too, if they live for some milliseconds."""
        thread = threading.Thread(target=self._watch_processes)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join()

    def _watch_processes(self) -> None:
        while not self._over.wait(0.03):
            for process in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    self._note(process / name)

    def _note(self, file: Path) -> None:
        try:
            self.seen.add(file.read_bytes())
        except OSError:
            pass  # it has ended

    @contextmanager
    def watching_broker(self, url: str, exchanges: list[tuple[str, str, list[str]]]) -> Iterator[Witness]:
        """Copies of what passes (exchange, its kind, keys)."""
        with Connection(url) as connection:
            queues = [
                Queue(
                    f"tap-{uuid4().hex}",
                    Exchange(name, kind, durable=True),
                    routing_key=key,
                    exclusive=True,
                    auto_delete=True,
                )
                for name, kind, keys in exchanges
                for key in keys
            ]
            with connection.Consumer(queues, on_message=self._took) as taps:
                taps.no_ack = True
                thread = threading.Thread(target=self._drain, args=(connection,))
                thread.start()
                try:
                    yield self
                finally:
                    self._over.set()
                    thread.join()

    def _took(self, message: Message) -> None:
        body = message.body
        self.seen.add(body.encode() if isinstance(body, str) else bytes(body))

    def _drain(self, connection: Connection) -> None:
        while True:  # to the last message that was sent before the end
            try:
                connection.drain_events(timeout=0.2)
            except TimeoutError:
                if self._over.is_set():
                    return
