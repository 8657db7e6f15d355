"""Names on the broker, and messages as bytes: JSON, sealed and signed with the cloud's bus key.

Sealed, because a new guest's passwords and user data travel in them, and a broker keeps messages on its disk.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from kombu import Exchange, Queue

from common.errors import InvalidInput

LARGEST_MESSAGE = 4 * 1024 * 1024  # bytes
LONGEST_QUEUE = 10_000  # messages; a publisher beyond it is refused
LONGEST_PARKING = 1_000
MOST_DELIVERIES = 5
NONCE_BYTES, SEAL_BYTES = 12, 28  # before a sealed message; altogether around it
SIGNATURE, DELIVERIES = "x-pileus-signature", "x-pileus-deliveries"


@dataclass(frozen=True, slots=True)
class Topology:
    """Every exchange and queue of one cloud; `namespace` keeps clouds on one broker apart."""

    namespace: str
    queue_type: str  # "classic" or "quorum"

    @property
    def calls(self) -> Exchange:
        return Exchange(f"{self.namespace}.calls", "direct", durable=True)

    @property
    def events(self) -> Exchange:
        return Exchange(f"{self.namespace}.events", "topic", durable=True)

    @property
    def parking(self) -> Queue:
        """Where messages end that nobody can take; `pileus doctor` shows how many."""
        name = f"{self.namespace}.dead"
        limits = {"x-max-length": LONGEST_PARKING, "x-overflow": "drop-head"}
        return Queue(name, Exchange(name, "fanout", durable=True), durable=True, queue_arguments=limits)

    def of_calls(self, queue: str) -> Queue:
        """The durable queue of one service or one host."""
        arguments = {
            "x-queue-type": self.queue_type,
            "x-max-length": LONGEST_QUEUE,
            "x-overflow": "reject-publish",
            "x-dead-letter-exchange": self.parking.exchange.name,
        }
        return Queue(
            f"{self.namespace}.{queue}", self.calls, routing_key=queue, durable=True, queue_arguments=arguments
        )

    def of_process(self, name: str, *, topic: str | None = None) -> Queue:
        """A queue that lives as long as its process: for replies, or for events of one topic."""
        return Queue(
            f"{self.namespace}.{name}",
            self.events if topic else None,
            routing_key=topic or "",
            durable=False,
            auto_delete=True,
            queue_arguments={"x-expires": 300_000, "x-max-length": LONGEST_QUEUE},
        )


def sign(body: bytes, key: bytes) -> str:
    return hmac.new(key, body, hashlib.sha256).hexdigest()


def sealed(body: bytes, key: bytes) -> bytes:
    """What only a process with the key can read: AES-GCM, the nonce first."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + _cipher(key).encrypt(nonce, body, None)


def checked(body: Any, headers: dict[str, Any], key: bytes) -> bytes:
    """The JSON of a message that one of our own processes sent.  InvalidInput"""
    data = body.encode() if isinstance(body, str) else bytes(body)
    if len(data) > LARGEST_MESSAGE + SEAL_BYTES:
        raise InvalidInput("The message is too large", size=len(data))
    if not hmac.compare_digest(str(headers.get(SIGNATURE, "")), sign(data, key)):
        raise InvalidInput("The message is not signed with this cloud's key")
    return opened(data, key)


def opened(data: bytes, key: bytes) -> bytes:
    """What was sealed.  InvalidInput"""
    try:
        return _cipher(key).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], None)
    except (InvalidTag, ValueError) as error:
        raise InvalidInput("The message is not sealed with this cloud's key") from error


@lru_cache(maxsize=8)
def _cipher(key: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, salt=None, info=b"pileus bus messages").derive(key))
