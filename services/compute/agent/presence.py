"""Lets the control plane know of a host, and brings the two into agreement: at the start, after losses, and now and then."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from common.bus.bus import Bus
from common.clock import utc_now
from common.errors import HostFailed, NotFound, PlatformError, Unavailable
from services.compute.agent.boots import BootMark
from services.compute.agent.changes import Changes
from services.compute.agent.host import Host
from services.compute.contract import CompareGuests, GuestChanged, GuestFate, HostAlive, RegisterHost
from services.compute.core.guests import PowerState
from services.compute.core.hypervisors import HostFacts

log = logging.getLogger(__name__)

MOST_STARTS = 3  # of one guest after a restart of its host


@dataclass(slots=True)
class Presence:
    """One host's standing with the control plane.  `look` is called every few seconds by one thread."""

    host: Host
    bus: Bus
    boots: BootMark
    changes: Changes
    reconcile_s: float
    now: Callable[[], datetime] = utc_now
    _told: HostFacts | None = None  # what it registered with; None: it has to
    _compared_at: float = field(default=float("-inf"))
    _is_cut_off: bool = False
    _failed_starts: dict[UUID, int] = field(default_factory=dict)

    def look(self) -> None:
        """A sign of life, unless libvirt is away; registering and comparing where that is due.  Never raises."""
        try:
            self._look()
            self._cut_off(None)
        except PlatformError as error:
            self._cut_off(error)
        except Exception:
            log.exception("host not compared", extra={"host": self.host.name})

    def forget(self) -> None:
        """Register and compare anew."""
        self._told, self._compared_at = None, float("-inf")

    def _look(self) -> None:
        self._ping()
        is_due = time.monotonic() >= self._compared_at + self.reconcile_s
        if self._told is None or is_due:
            self._register()
        elif not self.bus.call(HostAlive(host=self.host.name, at=self.now())):
            self.forget()
            return self._look()
        if is_due:
            self._compare()
            self._compared_at = time.monotonic()
        return None

    def _ping(self) -> None:
        """Unavailable, and then nothing that was known before holds: guests may have ended unheard."""
        try:
            self.host.hypervisor.ping()
        except Unavailable:
            self._compared_at = float("-inf")
            raise

    def _register(self) -> None:
        facts = self.host.hypervisor.facts().model_copy(update={"disk_reserved_gib": self.host.images.used_gib()})
        if facts == self._told:
            self.bus.call(HostAlive(host=self.host.name, at=self.now()))
            return
        self.bus.call(RegisterHost(facts=facts))
        if self._told is None:
            log.info("host registered", extra={"host": facts.host, "kind": facts.hypervisor_type})
        self._told = facts

    # ------------------------------------------------------------------

    def _compare(self) -> None:
        """Do what the control plane says should become of the guests here."""
        hypervisor = self.host.hypervisor
        after_boot = self.boots.is_new()
        call = CompareGuests(
            at=self.now(),
            host=self.host.name,
            guests=hypervisor.guests(),
            leftovers=sorted(hypervisor.leftovers()),
            copied=sorted(hypervisor.copied()),
            after_boot=after_boot,
        )
        fates = self.bus.call(call)
        seen = {guest.server_id for guest in call.guests}
        failed = [fate for fate in fates if not self._meet(fate, is_here=fate.server_id in seen)]
        if not (after_boot and failed):
            self.boots.keep()
            self._failed_starts.clear()
        self.host.images.prune(hypervisor.images_in_use())

    def _meet(self, fate: GuestFate, *, is_here: bool) -> bool:
        """Whether the guest is now as it should be; if not, the next comparison tries again."""
        if fate.fate == "later":
            return False
        try:
            if fate.fate == "tidy":
                self.host.long_work.end(fate.server_id)
            with self.host.turn(fate.server_id) as hypervisor:
                if fate.fate == "tidy":
                    hypervisor.drop_copies(fate.server_id)
                elif fate.fate == "remove":
                    hypervisor.destroy(fate.server_id)
                elif fate.fate == "run":
                    self.changes.restarted(self.host, fate.server_id, hypervisor.start(fate.server_id))
                elif not is_here:
                    hypervisor.state(fate.server_id)
        except NotFound:
            self.changes.gone(self.host, fate.server_id)
            return True
        except PlatformError as error:
            facts = {"host": self.host.name, "server_id": str(fate.server_id), "fate": fate.fate}
            log.warning("guest not as it should be", extra=facts | {"why": error.message})
            return fate.fate == "run" and self._is_given_up(fate.server_id, error)
        if fate.fate != "keep":
            log.info("guest repaired", extra={"server_id": str(fate.server_id), "fate": fate.fate})
        return True

    def _is_given_up(self, server_id: UUID, error: PlatformError) -> bool:
        """Whether it failed to start so often that this was told instead.  A libvirt that is not ready does not count."""
        if isinstance(error, Unavailable) and not isinstance(error, HostFailed):
            return False
        tries = self._failed_starts[server_id] = self._failed_starts.get(server_id, 0) + 1
        if tries < MOST_STARTS:
            return False
        off = PowerState.SHUTDOWN
        change = GuestChanged(
            host=self.host.name, server_id=server_id, power_state=off, at=self.now(), failure=error.message
        )
        try:
            self.bus.call(change)
        except PlatformError as unheard:
            log.warning("change not taken", extra={"server_id": str(server_id), "why": unheard.message})
            return False
        return True

    def _cut_off(self, error: PlatformError | None) -> None:
        """Say once that the host is cut off, and once that it is back."""
        if error is not None and not self._is_cut_off:
            log.warning("host cut off", extra={"host": self.host.name, "why": error.message})
        if error is None and self._is_cut_off:
            log.info("host back", extra={"host": self.host.name})
        self._is_cut_off = error is not None
