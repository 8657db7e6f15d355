"""What the steps of this service's sagas work with."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar
from uuid import UUID

from sqlalchemy.event import listen
from sqlalchemy.orm import Session

from common.bus.bus import Bus
from common.bus.messages import Call
from common.clock import utc_now
from common.db.database import Database
from common.errors import HostFailed, NotFound
from common.saga.saga import Run
from services.compute.contract import DestroyGuest, ServerChanged
from services.compute.core.config_drive import VendorData
from services.compute.core.images import Image
from services.compute.core.weighers import DEFAULT, Weights
from services.compute.db.hosts import Hosts
from services.compute.db.tables import ServerRow
from services.compute.sagas.seen_images import SeenImages

log = logging.getLogger(__name__)
R = TypeVar("R")


KNOWN_FOR = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class _Known:
    """Whether a host was up a moment ago."""

    is_up: bool
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What an operator set and steps heed."""

    host_down_s: float = 60  # no heartbeat for so long: down
    grace_s: float = 20  # after this worker was deaf: time for heartbeats to come in again
    config_drive_always: bool = True
    stop_patience_s: float = 60
    resize_confirm_window_s: float = 0  # a resize is confirmed by itself after so long; 0: never
    shelved_offload_s: float = 0  # a shelved server leaves its host after so long; 0: at once, -1: never
    weights: Weights = DEFAULT  # of what is left on hosts, for the scheduler
    ephemeral_format: str | None = None  # file system of ephemeral disks that ask for none; None: by the image's system
    reclaim_after_s: float = 0  # a deleted server can be restored for so long; 0: it is gone at once


class Images(Protocol):
    """The image service, as far as this service asks it in its own name."""

    def show(self, image_id: UUID | str) -> Image:
        """NotFound"""

    def remove(self, image_id: UUID | str) -> None:
        """NotFound, Forbidden"""

    def find(self, **filters: str) -> Sequence[Image]: ...


class Vendor(Protocol):
    """What the cloud's operator has to say to guests."""

    def told(self, about: Mapping[str, Any]) -> VendorData:
        """Unavailable if it must not be missing and is."""


class NoVendor:
    def told(self, about: Mapping[str, Any]) -> VendorData:
        return VendorData()


class NoImages:
    """Where there is no image service: nothing is known, and nothing to be removed."""

    def show(self, image_id: UUID | str) -> Image:
        raise NotFound(f"No image found with ID {image_id}")

    def remove(self, image_id: UUID | str) -> None:
        raise NotFound(f"No image found with ID {image_id}")

    def find(self, **filters: str) -> Sequence[Image]:
        return []


@dataclass(frozen=True, slots=True)
class Kit:
    database: Database
    bus: Bus
    rules: Rules = field(default_factory=Rules)
    now: Callable[[], datetime] = utc_now
    images: Images = field(default_factory=NoImages)
    vendor: Vendor = field(default_factory=NoVendor)
    hears_since: Callable[[], datetime | None] = lambda: None  # since when this worker hears; None: always did
    seen_images: SeenImages = field(default_factory=SeenImages)
    _known: dict[str, _Known] = field(default_factory=dict)

    def call(self, call: Call[R], host: str, *, timeout_s: float | None = None) -> R:
        """The host's answer; HostFailed at once if it is down."""
        if self.is_down(host):
            raise HostFailed(f"Host {host} is down", host=host)
        return self.bus.call(call, host=host, timeout_s=timeout_s)

    def clear(self, server_id: UUID, host: str) -> None:
        """Have nothing of the server left there.  A host that can't does it when it next compares: nothing belongs there."""
        try:
            self.call(DestroyGuest(server_id=server_id), host)
        except HostFailed as error:
            log.warning("not cleared away yet", extra={"server_id": str(server_id), "host": host, "why": error.message})

    def is_down(self, host: str) -> bool:
        """Whether it was not heard of for too long; while we could not have heard it, nobody is down."""
        if self.is_new_to_hearing():
            return False
        known = self._known.get(host)
        if known is None or known.at + KNOWN_FOR < self.now():
            with self.database.reading() as session:
                is_up = Hosts(session).is_up(host, seen_after=self.seen_after())
            known = self._known[host] = _Known(is_up, self.now())
        return not known.is_up

    def is_new_to_hearing(self) -> bool:
        since = self.hears_since()
        return since is not None and self.now() < since + timedelta(seconds=self.rules.grace_s)

    def seen_after(self) -> datetime:
        """Hosts heard of since then are up."""
        return self.now() - timedelta(seconds=self.rules.host_down_s)

    def tell(self, run: Run[Any], server: ServerRow) -> None:
        """Let everybody know how the server is now, once that is committed."""
        event = _changed(server)
        run.then(lambda: self.bus.tell(event))

    def tell_after(self, session: Session, server: ServerRow) -> None:
        """The same for what no saga did."""
        event = _changed(server)
        listen(session, "after_commit", lambda _: self.bus.tell(event), once=True)


def _changed(server: ServerRow) -> ServerChanged:
    return ServerChanged(
        server_id=server.id,
        project_id=server.project_id,
        vm_state=server.vm_state,
        task_state=server.task_state,
        power_state=server.power_state,
        host=server.host,
    )
