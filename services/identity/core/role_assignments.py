"""Roles that follow from others: with `admin` assigned, `manager`, `member` and `reader` are held too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from services.identity.core.scopes import Kind


@dataclass(frozen=True, slots=True)
class Named:
    """Somebody or something, by id and name, with the domain it lives in."""

    id: str
    name: str
    domain: Named | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A user's role on a target, and the assigned role it follows from."""

    role: Named
    user: Named
    kind: Kind
    target: Named
    assigned: str  # id of the role that was assigned
    prior: str | None = None  # id of the role that implies this one; None: it was assigned itself


def effective(assigned: Iterable[Held], implied: Mapping[str, Sequence[Named]]) -> Iterator[Held]:
    """`assigned`, and what follows from it; each role once for a user and a target.  `implied` maps role id -> next roles."""
    seen: set[tuple[str, str, str, str]] = set()
    waiting = list(assigned)
    while waiting:  # assigned ones first, then those one step away, and so on
        following: list[Held] = []
        for held in waiting:
            key = (held.user.id, held.kind, held.target.id, held.role.id)
            if key in seen:
                continue
            seen.add(key)
            yield held
            following += [replace(held, role=role, prior=held.role.id) for role in implied.get(held.role.id, ())]
        waiting = following
