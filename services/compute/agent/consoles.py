"""Hands the bytes of guests' consoles to the control plane: one connection each, to whoever brings the key.

A key is random, travels on the sealed bus, is good once and for seconds.  Over the network the connection is TLS with a
certificate that this process made for itself: the bus carries it to the one who connects, who trusts no other.
Nothing listens until the first console is asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
import socket
import stat
import tempfile
import threading
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from common.errors import Unavailable
from services.compute.contract import ConsoleAt

if TYPE_CHECKING:
    import ssl

log = logging.getLogger(__name__)

KEY_BYTES = 32
PATIENCE_S = 10.0  # from the offer to the key, and from connecting to saying it
CHUNK = 1 << 18
ROUNDS = 5  # of the loop, in which what was closed is let go
UNIX = "unix:"


@dataclass(slots=True)
class Offer:
    """A console that is open and waits for its reader."""

    descriptor: int
    line: UUID | None  # a serial line has one reader at a time
    gives_up: asyncio.TimerHandle | None = None


class ConsoleDoor:
    """Listens at `listen`, HOST:PORT (port 0: any), or without one at a unix socket of this user's own.

    `shown` is this host's address where HOST is every one.
    """

    def __init__(self, listen: str | None = None, *, shown: str = "") -> None:
        self._listen, self._shown = listen, shown
        self._folder: Path | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: asyncio.Server | None = None
        self._offers: dict[bytes, Offer] = {}  # by the key's hash: a look-up in it tells nothing of a key
        self._readers: dict[UUID, asyncio.Task[None]] = {}
        self._address = ""
        self._certificate: str | None = None
        self._opening = threading.Lock()
        self._thread = threading.Thread()

    def offer(self, descriptor: int, *, line: UUID | None = None, past: str = "") -> ConsoleAt:
        """Keep the console for its reader; closes it if nobody comes.  Unavailable if this host can't listen

        `line`: whose serial line it is.
        """
        try:
            loop = self._running()
        except OSError as error:
            os.close(descriptor)
            raise Unavailable("This host cannot hand out consoles", listen=self._listen, said=str(error)) from error
        key = secrets.token_hex(KEY_BYTES)
        loop.call_soon_threadsafe(self._lay_out, _hash(key.encode()), Offer(descriptor, line))
        return ConsoleAt(address=self._address, certificate=self._certificate, key=key, past=past)

    def close(self) -> None:
        loop, self._loop = self._loop, None
        if loop is not None:
            asyncio.run_coroutine_threadsafe(self._end(), loop).result(timeout=5)
            loop.call_soon_threadsafe(loop.stop)
            self._thread.join(timeout=5)

    # ---------------------------------------------------------------- its own thread

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._opening:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_run, args=(loop,), name="consoles", daemon=True)
                self._thread.start()
                try:
                    asyncio.run_coroutine_threadsafe(self._start(), loop).result(timeout=5)
                except BaseException:
                    loop.call_soon_threadsafe(loop.stop)
                    raise
                self._loop = loop
            return self._loop

    async def _start(self) -> None:
        if self._listen is None:
            self._folder = Path(tempfile.mkdtemp(prefix="pileus-consoles-"))  # 0700
            path = self._folder / "door"
            self._server = await asyncio.start_unix_server(self._serve, path, limit=CHUNK)
            self._address = f"{UNIX}{path}"
            return
        host, _, port = self._listen.rpartition(":")
        context, self._certificate = _tls()
        self._server = await asyncio.start_server(self._serve, host.strip("[]"), int(port), limit=CHUNK, ssl=context)
        actual = self._server.sockets[0].getsockname()[1]
        self._address = f"{self._shown if host in ('0.0.0.0', '[::]') else host}:{actual}"

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        for offer in self._offers.values():
            os.close(offer.descriptor)
        self._offers.clear()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for _ in range(ROUNDS):
            await asyncio.sleep(0)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _lay_out(self, key: bytes, offer: Offer) -> None:
        self._offers[key] = offer
        offer.gives_up = asyncio.get_running_loop().call_later(PATIENCE_S, self._take_back, key)

    def _take_back(self, key: bytes) -> None:
        if (offer := self._offers.pop(key, None)) is not None:
            os.close(offer.descriptor)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: no key, no byte."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                key = await reader.readexactly(2 * KEY_BYTES)
            offer = self._offers.pop(_hash(key), None)
            if offer is None:
                log.warning(
                    "a console was asked for without its key", extra={"peer": str(writer.get_extra_info("peername"))}
                )
                return
            if offer.gives_up is not None:
                offer.gives_up.cancel()
            await self._read(offer, reader, writer)
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            pass  # whoever it was has gone
        finally:
            await _shut(writer)

    async def _read(self, offer: Offer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(_join(offer.descriptor, reader, writer))
        if offer.line is None:
            await task
            return
        if (former := self._readers.get(offer.line)) is not None:
            former.cancel()
        self._readers[offer.line] = task
        try:
            await asyncio.wait((task,))
        finally:
            task.cancel()
            if self._readers.get(offer.line) is task:
                del self._readers[offer.line]


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


async def _join(descriptor: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes both ways until one side ends."""
    guest = await _wire(descriptor)
    ways = [asyncio.create_task(_carry(guest.reader, writer)), asyncio.create_task(_carry(reader, guest.writer))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        guest.reading.close()
        await _shut(guest.writer)


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # a guest that goes off takes its line away
        while chunk := await source.read(CHUNK):
            target.write(chunk)
            await target.drain()


async def _shut(writer: asyncio.StreamWriter) -> None:
    """Closed, with what is still on its way sent if the other side takes it."""
    writer.close()
    try:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await writer.wait_closed()
    finally:
        writer.transport.abort()


@dataclass(frozen=True, slots=True)
class Wire:
    """A descriptor as streams.  `reading` is to be closed, too: a reader that is left behind takes bytes from the next one."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    reading: asyncio.BaseTransport


async def _wire(descriptor: int) -> Wire:
    """Of a socket (the screen), or of a terminal's device (the serial line)."""
    if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        own = socket.socket(fileno=descriptor)
        reader, writer = await asyncio.open_unix_connection(sock=own, limit=CHUNK)
        return Wire(reader, writer, writer.transport)
    loop, second = asyncio.get_running_loop(), os.dup(descriptor)
    reader = asyncio.StreamReader(limit=CHUNK)
    reading, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    writing, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), os.fdopen(second, "wb", buffering=0)
    )
    return Wire(reader, asyncio.StreamWriter(writing, protocol, None, loop), reading)


def _hash(key: bytes) -> bytes:
    return sha256(key).digest()


def _tls() -> tuple[ssl.SSLContext, str]:
    """A certificate for this process's life, and its PEM; the key never leaves the process but for a moment in a private file."""
    import ssl
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pileus consoles")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # clocks differ
        .not_valid_after(now + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with tempfile.NamedTemporaryFile() as file:  # 0600
        file.write(private + pem)
        file.flush()
        context.load_cert_chain(file.name)
    return context, pem.decode()
