"""What this service's routes work with, and how they get it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Protocol
from uuid import UUID

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from common.auth.callers import Caller
from common.auth.policy import Policy
from common.bus.bus import Bus
from common.db.database import Database
from common.errors import InvalidInput
from common.saga.store import Sagas
from common.together import Together
from services.compute.api.seats import Seats
from services.compute.contract import SagasDue
from services.compute.core.images import Image
from services.compute.db.aggregates import Aggregates
from services.compute.db.consoles import Consoles
from services.compute.db.flavors import Flavors
from services.compute.db.hypervisors import Hypervisors
from services.compute.db.keypairs import Keypairs
from services.compute.db.migration_records import MigrationRecords
from services.compute.db.quotas import Quotas
from services.compute.db.server_groups import ServerGroups
from services.compute.db.server_lists import ServerLists
from services.compute.db.servers import STATE, Server, Servers
from services.compute.db.services import Services
from services.compute.db.tables import SAGAS
from services.compute.db.usage import Usage
from services.compute.settings import ComputeSettings

MOST_WAITING = 8
"""Requests of this process that may wait at once for something to happen."""


class Images(Protocol):
    """The image service, as far as the API asks it."""

    def show(self, image_id: UUID | str, token: str | None = None) -> Image:
        """The image, as the owner of the token sees it.  NotFound, Unavailable"""

    def create(self, body: dict[str, Any], token: str | None = None) -> Image:
        """One without bytes.  InvalidInput, Forbidden, TooLarge"""

    def share(self, image_id: UUID | str, project_id: str, token: str | None = None) -> None:
        """Show it to another project."""

    def remove(self, image_id: UUID | str, token: str | None = None) -> None:
        """NotFound, Forbidden"""

    def find(self, token: str | None = None, **filters: str) -> Sequence[Image]:
        """One page.  InvalidInput"""

    def change(self, image_id: UUID | str, steps: list[dict[str, Any]], token: str | None = None) -> Image:
        """By a JSON patch.  NotFound, Forbidden, InvalidInput"""


class Projects(Protocol):
    """The identity service, as far as the API asks it."""

    def has_project(self, project_id: str, token: str | None = None) -> bool:
        """Whether there is such a project, as far as the owner of the token may know.  Unavailable"""


@dataclass(eq=False)
class Tx:
    """One transaction's queries, by noun."""

    session: Session
    bus: Bus = field(repr=False)
    limits: Mapping[str, int]  # of the settings

    @cached_property
    def servers(self) -> Servers:
        return Servers(self.session)

    @cached_property
    def server_lists(self) -> ServerLists:
        return ServerLists(self.session)

    @cached_property
    def flavors(self) -> Flavors:
        return Flavors(self.session)

    @cached_property
    def keypairs(self) -> Keypairs:
        return Keypairs(self.session)

    @cached_property
    def consoles(self) -> Consoles:
        return Consoles(self.session)

    @cached_property
    def quotas(self) -> Quotas:
        return Quotas(self.session, self.limits)

    @cached_property
    def server_groups(self) -> ServerGroups:
        return ServerGroups(self.session)

    @cached_property
    def aggregates(self) -> Aggregates:
        return Aggregates(self.session)

    @cached_property
    def usage(self) -> Usage:
        return Usage(self.session)

    @cached_property
    def services(self) -> Services:
        return Services(self.session)

    @cached_property
    def hypervisors(self) -> Hypervisors:
        return Hypervisors(self.session)

    @cached_property
    def migrations(self) -> MigrationRecords:
        return MigrationRecords(self.session)

    @cached_property
    def sagas(self) -> Sagas:
        """Work that is started here begins after the commit."""
        return Sagas(self.session, SAGAS, hint=lambda: self.bus.send(SagasDue()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """Built once in `main`."""

    settings: ComputeSettings
    url: str  # of this API as clients reach it, without a version: links in answers begin with it
    image_url: str  # and of the image service's
    console_url: str  # of the consoles' pages as browsers reach them
    database: Database
    bus: Bus
    images: Images
    projects: Projects
    policy: Policy
    waiting: Seats = field(default_factory=lambda: Seats(MOST_WAITING))  # requests whose answer takes its time
    looks: Together[Image] = field(default_factory=Together)  # at images
    limits: Mapping[str, int] = field(init=False)  # of the settings

    def __post_init__(self) -> None:
        object.__setattr__(self, "limits", self.settings.quotas())

    @contextmanager
    def transaction(self) -> Iterator[Tx]:
        """All of the block is committed, or nothing."""
        with self.database.transaction() as session:
            yield Tx(session, self.bus, self.limits)

    @contextmanager
    def trying(self) -> Iterator[Tx]:
        """All of the block is as if it were written, and then it is not."""
        with self.database.transaction() as session:
            try:
                yield Tx(session, self.bus, self.limits)
            finally:
                session.rollback()

    @contextmanager
    def reading(self) -> Iterator[Tx]:
        """One snapshot; nothing is kept."""
        with self.database.reading() as session:
            yield Tx(session, self.bus, self.limits)

    def must(self, rule: str, caller: Caller, target: Mapping[str, Any] | None = None) -> None:
        """Forbidden unless the rule allows; without a target, it is the caller's own project that is acted on."""
        self.policy.must(f"os_compute_api:{rule}", caller, target)

    def allows(self, rule: str, caller: Caller, target: Mapping[str, Any] | None = None) -> bool:
        return self.policy.allows(f"os_compute_api:{rule}", caller, target)


def must_be_project(kit: Kit, project_id: str, caller: Caller) -> None:
    """InvalidInput unless identity knows it; one's own it need not be asked for."""
    if project_id != caller.project_id and not kit.projects.has_project(project_id, caller.token):
        raise InvalidInput(f"Project ID {project_id[:64]} is not a valid project.")


def scope_of(caller: Caller) -> str | None:
    """The project whose things the caller may know of; None: everybody's.  A token without a project sees nothing."""
    return None if caller.is_admin else caller.project_id or ""


def owner(row: Any) -> dict[str, Any]:
    """Whose a server is: what policy looks at."""
    return {"project_id": row.project_id, "user_id": row.user_id}


def known(server_id: str, caller: Caller, kit: Kit) -> Server:
    """The server's STATE, if the caller may know of it.  NotFound"""
    with kit.reading() as tx:
        return tx.servers.find(server_id, project_id=scope_of(caller), columns=STATE)


def seen(server_id: str, rule: str, caller: Caller, kit: Kit) -> Server:
    """The same, if the caller may do that with it.  NotFound, Forbidden"""
    server = known(server_id, caller, kit)
    kit.must(rule, caller, owner(server))
    return server


async def kit_of(request: Request) -> Kit:
    kit: Kit = request.app.state.kit
    return kit


KitOf = Annotated[Kit, Depends(kit_of)]
