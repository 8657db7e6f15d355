"""The levers of one domain.  Each comes to the same end when pulled twice, or when the guest moves meanwhile."""

from __future__ import annotations

import libvirt

from common.errors import Conflict, Silent, Unavailable
from services.compute.core.guests import Cause, PowerState
from services.compute.drivers.libvirt.errors import ignoring, is_about
from services.compute.drivers.libvirt.owned import cause, power_state

WITH_ALL_ITS_STATE = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
)


def power_on(domain: libvirt.virDomain) -> PowerState:
    """Start, resume or wake up: whatever makes it run."""
    state = power_state(domain)
    try:
        if state is PowerState.PAUSED:
            domain.resume()
        elif state is PowerState.SUSPENDED:
            domain.pMWakeup()
        elif not domain.isActive():
            domain.create()
    except libvirt.libvirtError as error:
        if not is_about(error, libvirt.VIR_ERR_OPERATION_INVALID) or not domain.isActive():
            raise  # else somebody else has just started it
    return power_state(domain)


def press_power_button(domain: libvirt.virDomain) -> None:
    try:
        domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)
    except libvirt.libvirtError as error:
        if is_about(error, libvirt.VIR_ERR_INVALID_ARG):  # the test driver knows no button
            domain.shutdown()
        elif not is_about(error, libvirt.VIR_ERR_OPERATION_INVALID):  # it was off already
            raise


def pull_the_plug(domain: libvirt.virDomain) -> None:
    """Off at once; Unavailable if its process was killed and the kernel has not buried it yet: try again."""
    try:
        domain.destroy()
    except libvirt.libvirtError as error:
        if is_about(error, libvirt.VIR_ERR_SYSTEM_ERROR):
            raise Unavailable("The guest's process is still going down", said=error.get_error_message()) from error
        if not is_about(error, libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_DOMAIN):
            raise


def reset(domain: libvirt.virDomain) -> None:
    domain.reset(0)


def pause(domain: libvirt.virDomain) -> PowerState:
    with ignoring(libvirt.VIR_ERR_OPERATION_INVALID):  # it is off
        if power_state(domain) is PowerState.RUNNING:
            domain.suspend()
    return power_state(domain)


def suspend(domain: libvirt.virDomain) -> PowerState:
    """Its memory goes to a file that libvirt keeps, and that the next start reads."""
    with ignoring(libvirt.VIR_ERR_OPERATION_INVALID):
        if domain.isActive():
            domain.managedSave(libvirt.VIR_DOMAIN_SAVE_RUNNING)
    return power_state(domain)


def crash(domain: libvirt.virDomain) -> None:
    domain.injectNMI(0)


def set_password(domain: libvirt.virDomain, user: str, password: str) -> None:
    """Silent if no agent answers, as long as the guest starts; Conflict if it says no."""
    try:
        domain.setUserPassword(user, password, 0)
    except libvirt.libvirtError as error:
        if is_about(error, libvirt.VIR_ERR_NO_DOMAIN):
            raise
        if is_about(error, libvirt.VIR_ERR_AGENT_UNRESPONSIVE):
            raise Silent("The guest's agent does not answer", said=error.get_error_message()) from error
        raise Conflict("The guest's agent does not set passwords", said=error.get_error_message()) from error


def describe_again(domain: libvirt.virDomain) -> bool:
    """Whether somebody had undefined it while it runs: it would have been gone, for its owner, once it was off."""
    if not domain.isActive() or domain.isPersistent():
        return False
    own = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
    domain.connect().defineXML(domain.XMLDesc(own))
    return True


def forget_memory(domain: libvirt.virDomain) -> None:
    """The next start is a fresh boot, whatever was suspended."""
    with ignoring(libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_SUPPORT):
        if domain.hasManagedSaveImage():
            domain.managedSaveRemove()


def undefine(domain: libvirt.virDomain) -> None:
    """Forget the domain and what libvirt keeps with it; one that was never defined has vanished already."""
    try:
        domain.undefineFlags(WITH_ALL_ITS_STATE)
    except libvirt.libvirtError as error:
        if is_about(error, libvirt.VIR_ERR_INVALID_ARG):  # the test driver has no more than these
            domain.undefineFlags(
                libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
            )
        elif not is_about(error, libvirt.VIR_ERR_NO_DOMAIN):
            raise


def state_or_none(domain: libvirt.virDomain) -> PowerState | None:
    """None if it went away since it was listed."""
    with ignoring(libvirt.VIR_ERR_NO_DOMAIN):
        return power_state(domain)
    return None


def cause_or_none(domain: libvirt.virDomain) -> Cause | None:
    """None, too, if it moves just now."""
    with ignoring(libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID):
        return cause(domain)
    return None
