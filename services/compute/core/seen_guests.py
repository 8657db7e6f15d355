"""What a guest that was found in some power state means for its server."""

from __future__ import annotations

from dataclasses import dataclass

from services.compute.core.guests import Cause, PowerState
from services.compute.core.states import RUNNING, WITH_GUEST, VmState


@dataclass(frozen=True, slots=True)
class Finding:
    """How the server is from now on; `action` and `message` go into its timeline, unless nothing happened worth it."""

    vm_state: str
    power_state: int
    action: str | None = None
    message: str | None = None


_ENDED = (PowerState.SHUTDOWN, PowerState.CRASHED)
# fmt: off
_HOW = {
    Cause.ENDED:        "shut down by itself",
    Cause.SWITCHED_OFF: "was switched off on its host",
    Cause.CRASHED:      "crashed, or its process on the host did",
    Cause.SAVED:        "was saved and switched off on its host",
    Cause.PAUSED:       "was paused on its host",
    Cause.DISK_FAILED:  "stands still since one of its disks could not be read or written",
    Cause.DISK_FULL:    "stands still since the disk of its host is full",
    Cause.WATCHDOG:     "was paused by its watchdog",
}
# fmt: on


def should_run(vm_state: str, power_state: int) -> bool:
    """Whether its guest is to run again after its host was restarted: it did before, as far as was known."""
    return vm_state in RUNNING or (vm_state == VmState.RESIZED and power_state == PowerState.RUNNING)


def finding(
    vm_state: str,
    power_state: int,
    found: PowerState | None,
    *,
    cause: Cause | None = None,
    after_boot: bool = False,
    restarted: bool = False,
    failure: str | None = None,
) -> Finding | None:
    """None if all is as it was known.

    `after_boot`: of the host; `restarted`: by the host after that; `failure`: why the host could not do so.
    """
    if found is None:
        if vm_state not in WITH_GUEST:
            return None
        return Finding(VmState.ERROR, PowerState.NOSTATE, "lost", "The host no longer has this server's guest")
    if restarted and found is PowerState.RUNNING and should_run(vm_state, power_state):
        return Finding(vm_state, found, "start", "The guest was started again after its host was restarted")
    if failure is not None and power_state != found and should_run(vm_state, power_state):
        return _not_started(vm_state, failure)
    if vm_state in (VmState.ACTIVE, VmState.PAUSED) and found in _ENDED:
        how = "was off after its host was restarted" if after_boot else _how(found, cause)
        return Finding(VmState.STOPPED, PowerState.SHUTDOWN, "stop", f"The guest {how}")
    if vm_state == VmState.STOPPED and found is PowerState.RUNNING:
        return Finding(VmState.ACTIVE, found, "start", "The guest was started on its host")
    if vm_state in (VmState.PAUSED, VmState.SUSPENDED) and found is PowerState.RUNNING:
        return Finding(VmState.ACTIVE, found, "resume", "The guest was resumed on its host")
    if power_state == found:
        return None
    return Finding(vm_state, found, *_in_the_timeline(vm_state, power_state, found, cause))


def _how(found: PowerState, cause: Cause | None) -> str:
    if cause is not None:
        return _HOW[cause]
    return _HOW[Cause.CRASHED] if found is PowerState.CRASHED else "is off, and was not asked to be"


def _in_the_timeline(vm_state: str, before: int, found: PowerState, cause: Cause | None) -> tuple[str, str] | tuple[()]:
    """Action and message where the power state alone changes; like Nova, whoever's guest stands still stays what it is."""
    if vm_state not in (*RUNNING, VmState.RESIZED):
        return ()
    if found is PowerState.PAUSED:
        return "pause", f"The guest {_HOW[cause] if cause else 'stands still'}"
    if found is PowerState.SUSPENDED:
        return "suspend", "The guest has gone to sleep by itself"
    if found in _ENDED:
        return "stop", f"The guest {_how(found, cause)}"
    if found is PowerState.RUNNING:
        return _GOES_ON.get(before, "start"), "The guest runs again"
    return ()


_GOES_ON: dict[int, str] = {PowerState.PAUSED: "unpause", PowerState.SUSPENDED: "resume"}


def _not_started(vm_state: str, why: str) -> Finding:
    """One that waits for its resize to be confirmed, or its rescue to end, keeps the way back."""
    state = VmState.ERROR if vm_state == VmState.ACTIVE else vm_state
    message = f"The guest could not be started again after its host was restarted: {why}"
    return Finding(state, PowerState.SHUTDOWN, "start", message)
