"""The operator's policy file: rules that replace the built-in ones, for all services of a cloud in one file.

    "os_compute_api:servers:create": "rule:project_manager_or_admin"
    "identity:list_users": "rule:auditors or rule:admin"
    "auditors": "role:auditor"          # a name of one's own, for other rules of the file

Whatever is wrong in it stops the start.  Later, a changed file counts within a second; one that is wrong is left out
and told (log, `readyz`, `pileus doctor`), and the rules that were good stay.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from common.auth.callers import Caller
from common.auth.policy import SHARED, Policy, Target, parse, uses
from common.errors import InvalidInput, PlatformError, Unavailable

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
PREFIXES = {"identity:": "identity", "os_compute_api:": "compute", "compute:": "compute", "placement:": "placement"}
"""How names of rules begin -> whose they are."""
PLAIN = "image"  # whose names have no prefix, as in Glance


@dataclass(frozen=True, slots=True)
class Entry:
    check: str
    line: int


def policy_of(file: Path | None, service: str, rules: Mapping[str, str]) -> Policy:
    """The policy of one service: its own rules, those of the file over them.  InvalidInput"""
    return Policy(rules) if file is None else FilePolicy(file, service, rules)


class FilePolicy(Policy):
    """Looks at most once a second, when it is asked, whether the file is another one."""

    def __init__(self, file: Path, service: str, rules: Mapping[str, str]) -> None:
        self._file, self._service, self._own = file, service, dict(rules)
        self._stamp, self._looked_at, self._looking = _stamp(file), time.monotonic(), threading.Lock()
        self.complaint: str | None = None  # what is wrong with the newest version of the file
        overridden = read(file, service, rules)
        super().__init__(overridden.rules)

    def allows(self, rule: str, caller: Caller, target: Target | None = None) -> bool:
        if time.monotonic() - self._looked_at >= LOOK_EVERY_S:
            self.look()
        return super().allows(rule, caller, target)

    def look(self) -> None:
        """Take over a changed file; one that is wrong is told and left out.  Never raises."""
        if not self._looking.acquire(blocking=False):
            return
        try:
            self._looked_at = time.monotonic()
            if (stamp := _stamp(self._file)) != self._stamp:
                self._stamp = stamp
                self._take()
        finally:
            self._looking.release()

    def _take(self) -> None:
        try:
            self.adopt(read(self._file, self._service, self._own))
        except PlatformError as error:
            self.complaint = error.message
            log.error("policy file left out: %s", error.message, extra={"service": self._service})
        else:
            self.complaint = None
            log.info("policy file taken over", extra={"service": self._service, "file": str(self._file)})


def probe(policy: Policy) -> None:
    """For `readyz`.  Unavailable, with what is wrong with the newest file while older rules are in force."""
    if isinstance(policy, FilePolicy):
        policy.look()
        if policy.complaint is not None:
            raise Unavailable(f"{policy.complaint}; older rules are in force")


def read(file: Path, service: str, rules: Mapping[str, str]) -> Policy:
    """The rules of one service with the file's over them.  InvalidInput, naming file, line and rule"""
    entries = _entries(file)
    aliases = {name for entry in entries.values() for name in _used(file, entry) if name in entries and ":" not in name}
    for name, entry in entries.items():
        if _owner(file, name, entry) == service and not (name in rules or name in SHARED or name in aliases):
            raise _wrong(file, entry, f"there is no policy rule '{name}'")
    taken = {name for name in entries if name in rules or name in SHARED}
    ahead = set(taken)
    while ahead:
        ahead = {name for one in ahead for name in uses(entries[one].check) if name in aliases} - taken
        taken |= ahead
    try:
        return Policy({**dict.fromkeys(taken, "!"), **rules}, {name: entries[name].check for name in taken})
    except InvalidInput as error:
        raise InvalidInput(f"{file}: {error.message}") from error


def _owner(file: Path, name: str, entry: Entry) -> str:
    """Each service checks the names that are its own, and all of them refuse those that are nobody's."""
    prefix, colon, _ = name.partition(":")
    if not colon:
        return PLAIN
    if (owner := PREFIXES.get(f"{prefix}:")) is None:
        raise _wrong(file, entry, f"no service has policy rules like '{name}'")
    return owner


def _used(file: Path, entry: Entry) -> frozenset[str]:
    try:
        parse(entry.check)
    except InvalidInput as error:
        raise _wrong(file, entry, error.message) from error
    return uses(entry.check)


def _entries(file: Path) -> dict[str, Entry]:
    """What is written there.  InvalidInput"""
    import yaml  # only clouds with such a file pay for it

    try:
        root = yaml.compose(file.read_text(), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"Cannot read the policy file {file}: {error}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidInput(f"The policy file {file} is not YAML: {' '.join(str(error).split())[:300]}") from error
    if root is None:
        return {}
    found: dict[str, Entry] = {}
    pairs = root.value if isinstance(root, yaml.MappingNode) else [(root, None)]
    for key, value in pairs:
        if not (isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode)):
            raise InvalidInput(f'{file}, line {key.start_mark.line + 1}: a line is NAME: "CHECK"')
        entry = Entry(value.value.strip() or "@", key.start_mark.line + 1)  # nothing to check: everybody may
        if key.value in found:
            raise _wrong(file, entry, f"policy rule '{key.value}' is there twice")
        found[key.value] = entry
    return found


def _wrong(file: Path, entry: Entry, what: str) -> InvalidInput:
    return InvalidInput(f"{file}, line {entry.line}: {what}")


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
