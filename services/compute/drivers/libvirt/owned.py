"""Find guests in libvirt, and only ours: others' domains are passed over, whatever they are called."""

from __future__ import annotations

from uuid import UUID

import libvirt

from common.errors import NotFound
from services.compute.core.guests import Cause, PowerState
from services.compute.drivers.libvirt.domains import NAMESPACE, read_identity
from services.compute.drivers.libvirt.errors import is_about
from services.compute.drivers.libvirt.options import LibvirtOptions
from services.compute.drivers.libvirt.plans import Identity

# fmt: off
POWER = {
    # virDomainState, libvirt/libvirt-domain.h
    libvirt.VIR_DOMAIN_NOSTATE:     PowerState.NOSTATE,
    libvirt.VIR_DOMAIN_RUNNING:     PowerState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED:     PowerState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED:      PowerState.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN:    PowerState.RUNNING,   # still going down
    libvirt.VIR_DOMAIN_SHUTOFF:     PowerState.SHUTDOWN,
    libvirt.VIR_DOMAIN_CRASHED:     PowerState.CRASHED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: PowerState.SUSPENDED,
}
CAUSES = {
    # virDomainShutoffReason and virDomainPausedReason, ibidem; what is only passing has none
    (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_SHUTDOWN):  Cause.ENDED,
    (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED): Cause.SWITCHED_OFF,
    (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_CRASHED):   Cause.CRASHED,
    (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_SAVED):     Cause.SAVED,
    (libvirt.VIR_DOMAIN_PAUSED,  libvirt.VIR_DOMAIN_PAUSED_USER):       Cause.PAUSED,
    (libvirt.VIR_DOMAIN_PAUSED,  libvirt.VIR_DOMAIN_PAUSED_IOERROR):    Cause.DISK_FAILED,
    (libvirt.VIR_DOMAIN_PAUSED,  libvirt.VIR_DOMAIN_PAUSED_WATCHDOG):   Cause.WATCHDOG,
    (libvirt.VIR_DOMAIN_PAUSED,  libvirt.VIR_DOMAIN_PAUSED_CRASHED):    Cause.CRASHED,
    (libvirt.VIR_DOMAIN_CRASHED, libvirt.VIR_DOMAIN_CRASHED_PANICKED):  Cause.CRASHED,
}
# fmt: on


def cause(domain: libvirt.virDomain) -> Cause | None:
    """How it came to be off, or to stand still, as far as libvirt tells."""
    found = CAUSES.get(tuple(domain.state()))
    if found is Cause.DISK_FAILED and libvirt.VIR_DOMAIN_DISK_ERROR_NO_SPACE in domain.diskErrors().values():
        return Cause.DISK_FULL
    return found


def power_state(domain: libvirt.virDomain) -> PowerState:
    return POWER.get(domain.state()[0], PowerState.NOSTATE)


class OwnDomains:
    def __init__(self, options: LibvirtOptions) -> None:
        self._cloud_id = options.cloud_id
        self._host = options.host

    def find(self, connection: libvirt.virConnect, server_id: UUID) -> libvirt.virDomain:  # NotFound
        domain = self.look(connection, server_id)
        if domain is None:
            raise NotFound(f"Host {self._host} has no guest {server_id}")
        return domain

    def look(self, connection: libvirt.virConnect, server_id: UUID) -> libvirt.virDomain | None:
        """The domain of this server if it is there and ours."""
        try:
            domain = connection.lookupByUUID(server_id.bytes)
        except libvirt.libvirtError as error:
            if is_about(error, libvirt.VIR_ERR_NO_DOMAIN):
                return None
            raise
        return domain if self._owner(domain) == server_id else None

    def is_of(self, connection: libvirt.virConnect, server_id: UUID, build: str) -> bool:
        """Whether the domain is there, and made by that order."""
        domain = self.look(connection, server_id)
        identity = None if domain is None else _identity(domain)
        return identity is not None and identity.build == build

    def every(self, connection: libvirt.virConnect) -> dict[UUID, libvirt.virDomain]:
        domains = connection.listAllDomains()
        return {owner: domain for domain in domains if (owner := self._owner(domain))}

    def _owner(self, domain: libvirt.virDomain) -> UUID | None:
        identity = _identity(domain)
        if identity is None or (identity.cloud_id, identity.host) != (self._cloud_id, self._host):
            return None
        return identity.server_id


def _identity(domain: libvirt.virDomain) -> Identity | None:
    try:
        return read_identity(domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE))
    except libvirt.libvirtError as error:
        if is_about(error, libvirt.VIR_ERR_NO_DOMAIN_METADATA, libvirt.VIR_ERR_NO_DOMAIN):
            return None  # not of Pileus, or gone since it was listed
        raise
