"""What may be done to a server, and when.  Words and rules: Compute API reference, "Servers - run an action"."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from common.errors import Conflict


class VmState(StrEnum):
    BUILDING = "building"
    ACTIVE = "active"
    STOPPED = "stopped"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    RESCUED = "rescued"
    RESIZED = "resized"
    SHELVED = "shelved"
    SHELVED_OFFLOADED = "shelved_offloaded"
    SOFT_DELETED = "soft-delete"
    ERROR = "error"
    DELETED = "deleted"


class TaskState(StrEnum):
    """What a server is undergoing, where a program looks at it; steps of a boot may show others."""

    SCHEDULING = "scheduling"
    STARTING = "powering-on"
    STOPPING = "powering-off"
    REBOOTING = "rebooting"
    REBOOTING_HARD = "rebooting_hard"
    PAUSING = "pausing"
    UNPAUSING = "unpausing"
    SUSPENDING = "suspending"
    RESUMING = "resuming"
    RESTORING = "restoring"
    REBUILDING = "rebuilding"
    RESIZING = "resize_migrating"
    CONFIRMING = "resize_confirming"
    REVERTING = "resize_reverting"
    RESCUING = "rescuing"
    UNRESCUING = "unrescuing"
    MIGRATING = "migrating"
    SNAPSHOT_PENDING = "image_snapshot_pending"
    BACKING_UP = "image_backup"
    COPYING = "image_snapshot"
    UPLOADING = "image_uploading"
    SHELVING = "shelving"
    SHELVING_UPLOADING = "shelving_image_uploading"
    OFFLOADING = "shelving_offloading"
    UNSHELVING = "unshelving"
    SOFT_DELETING = "soft-deleting"
    DELETING = "deleting"


class Action(StrEnum):
    """Named as in the sentence that refuses them; `reboot` is two, since a hard one is allowed more often."""

    START = "start"
    STOP = "stop"
    REBOOT = "reboot"
    REBOOT_HARD = "reboot_hard"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    SUSPEND = "suspend"
    RESUME = "resume"
    RESTORE = "restore"
    REBUILD = "rebuild"
    CRASH_DUMP = "trigger_crash_dump"
    CHANGE_PASSWORD = "changePassword"
    DIAGNOSE = "get_diagnostics"
    RESIZE = "resize"
    CONFIRM_RESIZE = "confirmResize"
    REVERT_RESIZE = "revertResize"
    RESCUE = "rescue"
    UNRESCUE = "unrescue"
    MIGRATE = "migrate"
    LIVE_MIGRATE = "os-migrateLive"
    EVACUATE = "evacuate"
    CREATE_IMAGE = "createImage"
    CREATE_BACKUP = "createBackup"
    SHELVE = "shelve"
    SHELVE_OFFLOAD = "shelveOffload"
    UNSHELVE = "unshelve"
    ATTACH_VOLUME = "attach_volume"
    ATTACH_INTERFACE = "attach_interface"
    DETACH_INTERFACE = "detach_interface"

    @property
    def word(self) -> str:
        return "reboot" if self is Action.REBOOT_HARD else str(self)


@dataclass(frozen=True, slots=True)
class Rule:
    needs: Set[VmState]
    saga: str  # who does it; "": done while it is asked for
    task: TaskState | None  # shown as OS-EXT-STS:task_state meanwhile
    then: VmState | None  # what the saga leaves behind; None: what it found
    during: Set[TaskState] = frozenset()  # task states that do not stand in its way


_V, _T = VmState, TaskState
_ANY = frozenset(_V)
_SETTLED = {_V.ACTIVE, _V.STOPPED, _V.PAUSED, _V.SUSPENDED}
# fmt: off
RULES: dict[Action, Rule] = {
    # action                  allowed in                        saga               task state           leaves
    Action.START:       Rule({_V.STOPPED},                      "start_server",    _T.STARTING,         _V.ACTIVE),
    Action.STOP:        Rule({_V.ACTIVE, _V.ERROR},             "stop_server",     _T.STOPPING,         _V.STOPPED),
    Action.REBOOT:      Rule({_V.ACTIVE},                       "reboot_server",   _T.REBOOTING,        _V.ACTIVE),
    Action.REBOOT_HARD: Rule({_V.ACTIVE, _V.STOPPED, _V.PAUSED, _V.SUSPENDED, _V.ERROR},
                                                                "reboot_server",   _T.REBOOTING_HARD,   _V.ACTIVE,
                             {_T.REBOOTING, _T.REBOOTING_HARD, _T.PAUSING, _T.UNPAUSING, _T.SUSPENDING, _T.RESUMING}),
    Action.PAUSE:       Rule({_V.ACTIVE},                       "pause_server",    _T.PAUSING,          _V.PAUSED),
    Action.UNPAUSE:     Rule({_V.PAUSED},                       "unpause_server",  _T.UNPAUSING,        _V.ACTIVE),
    Action.SUSPEND:     Rule({_V.ACTIVE},                       "suspend_server",  _T.SUSPENDING,       _V.SUSPENDED),
    Action.RESUME:      Rule({_V.SUSPENDED},                    "resume_server",   _T.RESUMING,         _V.ACTIVE),
    Action.RESTORE:     Rule({_V.SOFT_DELETED},                 "restore_server",  _T.RESTORING,        _V.ACTIVE),
    Action.REBUILD:     Rule({_V.ACTIVE, _V.STOPPED, _V.ERROR}, "rebuild_server",  _T.REBUILDING,       _V.ACTIVE),
    Action.CRASH_DUMP:  Rule({_V.ACTIVE, _V.PAUSED, _V.RESCUED, _V.RESIZED, _V.ERROR},
                                                                "crash_server",    None,                None),
    Action.CHANGE_PASSWORD: Rule({_V.ACTIVE},                   "",                None,                None),
    Action.DIAGNOSE:    Rule(_ANY,                              "",                None,                None, set(_T)),
    Action.RESIZE:      Rule({_V.ACTIVE, _V.STOPPED},           "resize_server",   _T.RESIZING,         _V.RESIZED),
    Action.CONFIRM_RESIZE: Rule({_V.RESIZED},                   "confirm_resize",  _T.CONFIRMING,       None),
    Action.REVERT_RESIZE:  Rule({_V.RESIZED},                   "revert_resize",   _T.REVERTING,        None),
    Action.RESCUE:      Rule({_V.ACTIVE, _V.STOPPED, _V.ERROR}, "rescue_server",   _T.RESCUING,         _V.RESCUED),
    Action.UNRESCUE:    Rule({_V.RESCUED},                      "unrescue_server", _T.UNRESCUING,       _V.ACTIVE),
    Action.CREATE_IMAGE:   Rule(_SETTLED,                        "snapshot_server", _T.SNAPSHOT_PENDING, None),
    Action.CREATE_BACKUP:  Rule(_SETTLED,                        "backup_server",   _T.BACKING_UP,       None),
    Action.SHELVE:         Rule(_SETTLED,                        "shelve_server",   _T.SHELVING,         _V.SHELVED),
    Action.SHELVE_OFFLOAD: Rule({_V.SHELVED},                    "offload_server",  _T.OFFLOADING,       _V.SHELVED_OFFLOADED),
    Action.UNSHELVE:       Rule({_V.SHELVED, _V.SHELVED_OFFLOADED}, "unshelve_server", _T.UNSHELVING,    _V.ACTIVE),
    # to another host: nothing does it yet, and each is refused once its state has been looked at
    Action.MIGRATE:      Rule({_V.ACTIVE, _V.STOPPED},          "",                _T.RESIZING,         _V.RESIZED),
    Action.LIVE_MIGRATE: Rule({_V.ACTIVE, _V.PAUSED},           "",                _T.MIGRATING,        None),
    Action.EVACUATE:     Rule({_V.ACTIVE, _V.STOPPED, _V.ERROR}, "",               _T.REBUILDING,       _V.ACTIVE, set(_T)),
    # what no service has yet: not found, once the state has been looked at
    Action.ATTACH_VOLUME:    Rule({_V.ACTIVE, _V.PAUSED, _V.STOPPED, _V.RESIZED, _V.SOFT_DELETED, _V.SHELVED,
                                   _V.SHELVED_OFFLOADED},        "",                None,                None),
    Action.ATTACH_INTERFACE: Rule({_V.ACTIVE, _V.PAUSED, _V.STOPPED}, "",           None,                None),
    Action.DETACH_INTERFACE: Rule({_V.ACTIVE, _V.PAUSED, _V.STOPPED}, "",           None,                None),
}
# fmt: on
ON_ITS_HOST = (Action.START, Action.STOP, Action.CRASH_DUMP, Action.DIAGNOSE)
"""What asks for a host before it looks at the state."""
RUNNING = (VmState.ACTIVE, VmState.RESCUED)
"""Whose guests run."""
WITH_GUEST = (
    *RUNNING, VmState.STOPPED, VmState.PAUSED, VmState.SUSPENDED, VmState.RESIZED, VmState.SHELVED, VmState.SOFT_DELETED,
)  # fmt: skip
"""Whose guests are to be on their host."""


def admit(action: Action, server_id: UUID, state: str, task: str | None, *, has_host: bool = True) -> Rule:
    """The rule for this action, or Conflict with what stands in its way."""
    rule = RULES[action]
    if not has_host and action in ON_ITS_HOST:
        raise Conflict(f"Instance {server_id} is not ready", vm_state=state)
    if state not in rule.needs:
        raise Conflict(_stands("vm_state", state, action, server_id), vm_state=state)
    if task is not None and task not in rule.during:
        raise Conflict(_stands("task_state", task, action, server_id), task_state=task)
    if not has_host:
        raise Conflict(f"Instance {server_id} is in an invalid state for '{action.word}'", vm_state=state)
    return rule


def must_be_open(server_id: UUID, *, is_locked: bool, is_admin: bool) -> None:
    """Conflict if the server is locked against the caller."""
    if is_locked and not is_admin:
        raise Conflict(f"Instance {server_id} is locked")


def _stands(kind: str, state: str, action: Action, server_id: UUID) -> str:
    return f"Cannot '{action.word}' instance {server_id} while it is in {kind} {state}"


def must_be_settled(words: str, server_id: UUID, state: str) -> None:
    """Conflict while the server is being made or after that failed: its metadata and tags can't change then."""
    if state not in _SETTLED:
        raise Conflict(f"Cannot '{words}' instance {server_id} while it is in vm_state {state}", vm_state=state)


# ---------------------------------------------------------------- the one word that users see

_HARD: dict[str, str] = {TaskState.REBOOTING_HARD: "HARD_REBOOT"}
_REBUILD: dict[str, str] = {TaskState.REBUILDING: "REBUILD"}
_SOFT: dict[str, str] = {TaskState.REBOOTING: "REBOOT", TaskState.MIGRATING: "MIGRATING"}
_RESIZE: dict[str, str] = {TaskState.RESIZING: "RESIZE"}
# fmt: off
STATUS: dict[VmState, tuple[str, dict[str, str]]] = {
    # state: status, and what it is instead during a task
    VmState.BUILDING:          ("BUILD",             {}),
    VmState.ACTIVE:            ("ACTIVE",            _SOFT | _HARD | _REBUILD | _RESIZE),
    VmState.STOPPED:           ("SHUTOFF",           _HARD | _REBUILD | _RESIZE),
    VmState.PAUSED:            ("PAUSED",            _HARD),
    VmState.SUSPENDED:         ("SUSPENDED",         _HARD),
    VmState.RESCUED:           ("RESCUE",            {}),
    VmState.RESIZED:           ("VERIFY_RESIZE",     {TaskState.REVERTING: "REVERT_RESIZE"}),
    VmState.SHELVED:           ("SHELVED",           {}),
    VmState.SHELVED_OFFLOADED: ("SHELVED_OFFLOADED", {}),
    VmState.SOFT_DELETED:      ("SOFT_DELETED",      {}),
    VmState.ERROR:             ("ERROR",             _HARD | _REBUILD),
    VmState.DELETED:           ("DELETED",           {}),
}
# fmt: on
_STATUSES = {(str(state), task): status for state, (_, tasks) in STATUS.items() for task, status in tasks.items()}
_DEFAULTS = {str(state): status for state, (status, _) in STATUS.items()}


def status_of(state: str, task: str | None) -> str:
    """The status of the API; UNKNOWN for a state that this release does not know."""
    return _STATUSES.get((state, task or "")) or _DEFAULTS.get(state, "UNKNOWN")


@dataclass(frozen=True, slots=True)
class StatusMatch:
    """Servers in `state`, whose task is one of `tasks`, or (`others`) none of them."""

    state: str
    tasks: frozenset[str]
    others: bool


def matches(statuses: Iterable[str]) -> list[StatusMatch]:
    """How servers of these statuses are found; statuses that do not exist find nothing."""
    wanted = {status.upper() for status in statuses}
    found: list[StatusMatch] = []
    for state, (default, tasks) in STATUS.items():
        if default in wanted:
            elsewhere = frozenset(str(task) for task, status in tasks.items() if status not in wanted)
            found.append(StatusMatch(state, elsewhere, others=True))
        elif during := frozenset(str(task) for task, status in tasks.items() if status in wanted):
            found.append(StatusMatch(state, during, others=False))
    return found
