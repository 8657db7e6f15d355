"""What a guest that was found in some power state means for its server."""

from __future__ import annotations

from dataclasses import dataclass

from services.compute.core.guests import PowerState
from services.compute.core.states import RUNNING, WITH_GUEST, VmState


@dataclass(frozen=True, slots=True)
class Finding:
    """How the server is from now on; `action` and `message` go into its timeline, unless nothing happened worth it."""

    vm_state: str
    power_state: int
    action: str | None = None
    message: str | None = None


_ENDED = (PowerState.SHUTDOWN, PowerState.CRASHED)


def should_run(vm_state: str, power_state: int) -> bool:
    """Whether its guest is to run again after its host was restarted: it did before, as far as was known."""
    return vm_state in RUNNING or (vm_state == VmState.RESIZED and power_state == PowerState.RUNNING)


def finding(
    vm_state: str,
    power_state: int,
    found: PowerState | None,
    *,
    after_boot: bool = False,
    failure: str | None = None,
) -> Finding | None:
    """None if all is as it was known.  `after_boot`: of the host; `failure`: why it could not start the guest after that."""
    if found is None:
        if vm_state not in WITH_GUEST:
            return None
        return Finding(VmState.ERROR, PowerState.NOSTATE, "lost", "The host no longer has this server's guest")
    if failure is not None and power_state != found and should_run(vm_state, power_state):
        return _not_started(vm_state, failure)
    if vm_state in (VmState.ACTIVE, VmState.PAUSED) and found in _ENDED:
        how = "crashed" if found is PowerState.CRASHED else "shut down by itself"
        how = "was off after its host was restarted" if after_boot else how
        return Finding(VmState.STOPPED, PowerState.SHUTDOWN, "stop", f"The guest {how}")
    if vm_state == VmState.STOPPED and found is PowerState.RUNNING:
        return Finding(VmState.ACTIVE, found, "start", "The guest was started on its host")
    if vm_state in (VmState.PAUSED, VmState.SUSPENDED) and found is PowerState.RUNNING:
        return Finding(VmState.ACTIVE, found, "resume", "The guest was resumed on its host")
    return Finding(vm_state, found) if power_state != found else None


def _not_started(vm_state: str, why: str) -> Finding:
    """One that waits for its resize to be confirmed, or its rescue to end, keeps the way back."""
    state = VmState.ERROR if vm_state == VmState.ACTIVE else vm_state
    message = f"The guest could not be started again after its host was restarted: {why}"
    return Finding(state, PowerState.SHUTDOWN, "start", message)
