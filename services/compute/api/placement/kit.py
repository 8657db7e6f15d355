"""What placement's routes work with, and how they get it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from common.auth.callers import Caller
from common.auth.policy import Policy
from common.db.database import Database
from services.compute.db.placement_allocations import Allocations
from services.compute.db.placement_inventories import Inventories
from services.compute.db.placement_names import ResourceClasses, Traits
from services.compute.db.placement_providers import Providers


@dataclass(eq=False)
class Tx:
    """One transaction's queries, by noun."""

    session: Session

    @cached_property
    def providers(self) -> Providers:
        return Providers(self.session)

    @cached_property
    def inventories(self) -> Inventories:
        return Inventories(self.session)

    @cached_property
    def traits(self) -> Traits:
        return Traits(self.session)

    @cached_property
    def classes(self) -> ResourceClasses:
        return ResourceClasses(self.session)

    @cached_property
    def allocations(self) -> Allocations:
        return Allocations(self.session)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """Built once in `main`."""

    database: Database
    policy: Policy
    url: str  # of this API as clients reach it
    prefix: str  # the path of that: links in answers begin with it

    @contextmanager
    def transaction(self) -> Iterator[Tx]:
        """All of the block is committed, or nothing."""
        with self.database.transaction() as session:
            yield Tx(session)

    @contextmanager
    def reading(self) -> Iterator[Tx]:
        """One snapshot; nothing is kept."""
        with self.database.reading() as session:
            yield Tx(session)

    def must(self, rule: str, caller: Caller, target: dict[str, str | None] | None = None) -> None:
        """Forbidden unless the rule allows."""
        self.policy.must(f"placement:{rule}", caller, target)


async def kit_of(request: Request) -> Kit:
    kit: Kit = request.app.state.kit
    return kit


KitOf = Annotated[Kit, Depends(kit_of)]
