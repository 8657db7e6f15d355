"""What role assignments amount to: groups mean their members, inherited ones the projects below, roles what they imply."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from services.identity.core.scopes import Kind

Actor = Literal["user", "group"]


@dataclass(frozen=True, slots=True)
class Named:
    """Somebody or something, by id and name, with the domain it lives in."""

    id: str
    name: str
    domain: Named | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody's role on a target, and the assignment that it comes from."""

    role: Named
    actor: Actor
    who: Named
    kind: Kind
    target: Named
    inherited: bool  # it counts on the projects below `target`; of an effective one: it came from above
    assigned: str  # id of the role that was assigned
    prior: str | None = None  # id of the role that implies this one; None: it was assigned itself
    group: str | None = None  # id of the group through which the user has it
    source: tuple[Kind, str] | None = None  # where it was assigned; None: on `target`


def effective(
    assigned: Iterable[Held],
    *,
    members: Mapping[str, Sequence[Named]],
    below: Mapping[str, Sequence[Named]],
    implied: Mapping[str, Sequence[Named]],
) -> Iterator[Held]:
    """What each user holds on each target by each way; a domain's own roles only bring others.

    `members` maps group id -> users, `below` project or domain id -> projects under it, `implied` role id -> next roles.
    """
    seen: set[tuple[str | None, ...]] = set()
    for given in assigned:
        for held in _spread(given, members, below):
            for one in _following(held, implied):
                key = (one.who.id, one.kind, one.target.id, one.role.id, one.prior, one.group, *(one.source or ()))
                if key not in seen and one.role.domain is None:
                    seen.add(key)
                    yield one


def _spread(held: Held, members: Mapping[str, Sequence[Named]], below: Mapping[str, Sequence[Named]]) -> Iterator[Held]:
    people = [held]
    if held.actor == "group":
        people = [replace(held, actor="user", who=user, group=held.who.id) for user in members.get(held.who.id, ())]
    for one in people:
        if not one.inherited:
            yield one
            continue
        source = (one.kind, one.target.id)
        for project in below.get(one.target.id, ()):
            yield replace(one, kind="project", target=project, source=source)


def _following(held: Held, implied: Mapping[str, Sequence[Named]]) -> Iterator[Held]:
    """The role itself, those one step away, and so on."""
    waiting, seen = [held], {held.role.id}
    while waiting:
        yield from waiting
        waiting = [
            replace(one, role=role, prior=one.role.id)
            for one in waiting
            for role in implied.get(one.role.id, ())
            if not (role.id in seen or seen.add(role.id))  # type: ignore[func-returns-value]
        ]
