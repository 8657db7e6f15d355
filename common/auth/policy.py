"""Who may do what: one named rule per operation, declared next to its route.

A rule's check is written in the field's own words (the syntax that `policy.yaml` files of OpenStack use):

    role:admin    project_id:%(project_id)s    user_id:%(user_id)s    system_scope:all    rule:other    @    !
    'member':%(target.role.name)s    None:%(target.role.domain_id)s
    and    or    not    ( )

`%(name)s` is a field of the thing acted on.  Checks are parsed when they are declared, so a typing error stops the start.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from common.auth.callers import FACTS, Caller
from common.errors import Forbidden, InvalidInput

Target = Mapping[str, Any]
Check = Callable[["Checks", Caller, Target], bool]
Checks = Mapping[str, Check]

checked: ContextVar[dict[str, bool] | None] = ContextVar("checked", default=None)
"""Rule -> what it said last, of all that the request at hand made a service ask; None outside of requests."""

_WORDS = re.compile(r"\s*(\(|\)|(?:%\([\w.]+\)s|[^\s()])+)")
_FIELD = re.compile(r"%\(([\w.]+)\)s")

DEEPEST = 100
KEPT = 4096  # checks that were parsed; most rules say what others say

SHARED = {
    "admin": "role:admin",
    "service": "role:service",
    "admin_or_service": "role:admin or role:service",
    "project_reader": "role:reader and project_id:%(project_id)s",
    "project_member": "role:member and project_id:%(project_id)s",
    "project_manager": "role:manager and project_id:%(project_id)s",
    "project_reader_or_admin": "rule:admin or rule:project_reader",
    "project_member_or_admin": "rule:admin or rule:project_member",
    "project_manager_or_admin": "rule:admin or rule:project_manager",
    "reader": "role:admin or role:reader",
    "member": "role:admin or role:member",
    "everybody": "@",
    # what OpenStack's services call the same, for files that were written for them
    "context_is_admin": "rule:admin",
    "admin_api": "rule:admin",
    "admin_required": "rule:admin",
    "service_api": "rule:service",
    "service_role": "rule:service",
    "service_or_admin": "rule:admin_or_service",
    "project_reader_api": "rule:project_reader",
    "project_member_api": "rule:project_member",
    "project_manager_api": "rule:project_manager",
}


class Policy:
    """The rules of one service."""

    def __init__(self, rules: Mapping[str, str], overrides: Mapping[str, str] | None = None) -> None:
        written = SHARED | dict(rules)
        if unknown := sorted(set(overrides or {}) - set(written)):
            raise InvalidInput(f"Unknown policy rules: {', '.join(unknown)}")
        self.rules = written | dict(overrides or {})
        self._checks: Checks = {name: parse(text) for name, text in self.rules.items()}
        for name, text in self.rules.items():
            if missing := sorted(uses(text) - set(self.rules)):
                raise InvalidInput(f"Policy rule '{name}' uses unknown rules: {', '.join(missing)}")
            _must_end(name, self.rules)

    def adopt(self, other: Policy) -> None:
        """Decide by the other's rules from now on."""
        self.rules, self._checks = other.rules, other._checks

    def allows(self, rule: str, caller: Caller, target: Target | None = None) -> bool:
        """Without a target, the thing acted on is the caller's own project."""
        checks = self._checks
        answer = checks[rule](checks, caller, caller.facts() if target is None else target)
        if (noted := checked.get()) is not None:
            noted[rule] = answer
        return answer

    def must(self, rule: str, caller: Caller, target: Target | None = None) -> None:
        """Forbidden, naming the rule, unless it allows."""
        if not self.allows(rule, caller, target):
            raise Forbidden(f"Policy doesn't allow {rule} to be performed.", rule=rule, user_id=caller.user_id)


@lru_cache(KEPT)
def parse(text: str) -> Check:
    """The check that `text` spells.  InvalidInput"""
    words = _split(text)
    if words.count("(") + words.count("not") > DEEPEST:
        raise InvalidInput(f"Policy check '{text[:80]}' is too deep")
    check = _either(words)
    if words:
        raise InvalidInput(f"Policy check '{text}': unexpected '{words[0]}'")
    return check


@lru_cache(KEPT)
def uses(text: str) -> frozenset[str]:
    """The rules that a check is made of."""
    return frozenset(word[5:] for word in _split(text) if word.startswith("rule:"))


def _must_end(name: str, rules: Mapping[str, str]) -> None:
    """A rule may not be made of itself.  InvalidInput"""
    seen: set[str] = set()
    ahead = set(uses(rules[name]))
    while ahead:
        one = ahead.pop()
        if one == name:
            raise InvalidInput(f"Policy rule '{name}' is made of itself")
        seen.add(one)
        ahead |= uses(rules.get(one, "@")) - seen


def _split(text: str) -> list[str]:
    return [match[1] for match in _WORDS.finditer(text)]


def _either(words: list[str]) -> Check:
    checks = _joined(words, "or", _both)
    return checks[0] if len(checks) == 1 else lambda *asked: any(check(*asked) for check in checks)


def _both(words: list[str]) -> Check:
    checks = _joined(words, "and", _one)
    return checks[0] if len(checks) == 1 else lambda *asked: all(check(*asked) for check in checks)


def _joined(words: list[str], by: str, part: Callable[[list[str]], Check]) -> list[Check]:
    checks = [part(words)]
    while words and words[0] == by:
        words.pop(0)
        checks.append(part(words))
    return checks


def _one(words: list[str]) -> Check:
    if not words:
        raise InvalidInput("Policy check ends too early")
    word = words.pop(0)
    if word == "not":
        inner = _one(words)
        return lambda *asked: not inner(*asked)
    if word == "(":
        inner = _either(words)
        if not words or words.pop(0) != ")":
            raise InvalidInput("Policy check lacks a closing parenthesis")
        return inner
    return _simple(word)


def _simple(word: str) -> Check:
    if word in ("@", "!"):
        return lambda *_: word == "@"
    kind, colon, match = word.partition(":")
    if not colon:
        raise InvalidInput(f"Policy check '{word}' is none of the known forms")
    if kind == "role":
        return lambda _, caller, __: match in caller.roles
    if kind == "rule":
        return lambda checks, caller, target: checks[match](checks, caller, target)
    if kind == "None":
        return lambda _, __, target: (named := _FIELD.fullmatch(match)) is not None and target.get(named[1], "") is None
    if kind.startswith("'") and kind.endswith("'"):
        return lambda _, __, target: _field_matches(kind[1:-1], match, target)
    if kind not in FACTS:
        raise InvalidInput(f"Policy check '{word}': a caller has no '{kind}', only {', '.join(FACTS)}")
    return lambda _, caller, target: _field_matches(caller.facts().get(kind), match, target)


def _field_matches(own: Any, match: str, target: Target) -> bool:
    if own is None:
        return False
    named = _FIELD.fullmatch(match)
    wanted = target.get(named[1]) if named else match
    return wanted is not None and str(own) == str(wanted)


def merged(*parts: Iterable[tuple[str, str]] | Mapping[str, str]) -> dict[str, str]:
    """Several nouns' rules as one; a name declared twice is a mistake.  InvalidInput"""
    rules: dict[str, str] = {}
    for part in parts:
        for name, check in dict(part).items():
            if name in rules:
                raise InvalidInput(f"Policy rule '{name}' is declared twice")
            rules[name] = check
    return rules
