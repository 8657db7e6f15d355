"""What a guest that was found in some power state means for its server."""

from __future__ import annotations

from dataclasses import dataclass

from services.compute.core.guests import PowerState
from services.compute.core.states import WITH_GUEST, VmState


@dataclass(frozen=True, slots=True)
class Finding:
    """How the server is from now on; `action` and `message` go into its timeline, unless nothing happened worth it."""

    vm_state: str
    power_state: int
    action: str | None = None
    message: str | None = None


_ENDED = (PowerState.SHUTDOWN, PowerState.CRASHED)


def finding(vm_state: str, power_state: int, found: PowerState | None) -> Finding | None:
    """None if all is as it was known."""
    if found is None:
        if vm_state not in WITH_GUEST:
            return None
        return Finding(VmState.ERROR, PowerState.NOSTATE, "lost", "The host no longer has this server's guest")
    if vm_state in (VmState.ACTIVE, VmState.PAUSED) and found in _ENDED:
        how = "crashed" if found is PowerState.CRASHED else "shut down by itself"
        return Finding(VmState.STOPPED, PowerState.SHUTDOWN, "stop", f"The guest {how}")
    if vm_state == VmState.STOPPED and found is PowerState.RUNNING:
        return Finding(VmState.ACTIVE, found, "start", "The guest was started on its host")
    if vm_state in (VmState.PAUSED, VmState.SUSPENDED) and found is PowerState.RUNNING:
        return Finding(VmState.ACTIVE, found, "resume", "The guest was resumed on its host")
    return Finding(vm_state, found) if power_state != found else None
