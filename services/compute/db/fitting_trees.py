"""Which hosts fit together with what belongs to them: providers below a host's own, and those that lend to it.

A query finds hosts that have all by themselves (`fitting_hosts.py`).  Where a flavor asks for groups, or none has all by
itself, the trees of hosts are searched by the rules of Placement (`core/allocation_candidates.py`), some hosts at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, String, bindparam, exists, or_, select, type_coerce, union
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from services.compute.core.allocation_candidates import Amounts, Group, Provider, Question, Search
from services.compute.core.demands import Demand
from services.compute.core.placement import Stock
from services.compute.core.placement_names import SHARES
from services.compute.core.scheduling import Candidate, Wish
from services.compute.db.fitting_hosts import fitting, shape_of, values_of
from services.compute.db.placement_fitting import has_somewhere, lent_classes, related
from services.compute.db.placement_inventories import Inventories
from services.compute.db.placement_tables import InventoryRow, ProviderRow, ProviderTraitRow
from services.compute.db.tables import HostRow

FIRST, AT_A_TIME, MOST_HOSTS = 20, 500, 1_000_000
LOOKED_INTO = 1_000  # of many hosts, to explain a refusal; others that look as if they had it are taken at that
Trees = Mapping[UUID, Sequence[Provider]]
"""Host's provider -> it, all below it, and what anybody lends."""
Stocks = Mapping[Hashable, Mapping[str, Stock]]
P = TypeVar("P", bound=Hashable)

# Built once.  Providers as the driver gives them, since there may be very many.
_LENDERS = select(type_coerce(ProviderTraitRow.provider_id, String)).where(ProviderTraitRow.trait == SHARES)
_ABOVE = select(type_coerce(ProviderRow.id, String), type_coerce(ProviderRow.parent_id, String)).where(
    ProviderRow.parent_id.is_not(None)
)


def _has_any(provider: ColumnElement[UUID] | InstrumentedAttribute[Any]) -> ColumnElement[bool]:
    row = InventoryRow
    named = row.resource_class.in_(bindparam("resources", expanding=True))
    return exists().where(row.provider_id == provider, named).correlate(ProviderRow, ProviderTraitRow)


_IS_BELOW = ProviderRow.parent_id.is_not(None)
_NO_HOST = ~exists().where(HostRow.id == ProviderRow.parent_id).correlate(ProviderRow)
_HELP = select(
    or_(
        exists().where(ProviderTraitRow.trait == SHARES, _has_any(ProviderTraitRow.provider_id)),
        exists().where(_IS_BELOW, _has_any(ProviderRow.id)),
        exists().where(_IS_BELOW, _NO_HOST, _has_any(ProviderRow.parent_id)),
    )
)


class FittingTrees:
    """Within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def exist(self) -> bool:
        """Whether any host could have more than its own provider has."""
        return bool(self._session.scalar(related()))

    def help_with(self, resources: Collection[str]) -> bool:
        """Whether anybody but hosts by themselves has any of these: who is below or above one, or lends."""
        asked = {"resources": sorted(map(str, resources))}
        return self.exist() and bool(self._session.connection().execute(_HELP, asked).scalar())

    def candidates(self, wish: Wish, *, seen_after: datetime, start: UUID, most: int) -> list[Candidate]:
        """As `Placement.candidates`, each with the amounts to take of each provider."""
        plain = replace(wish, resources={}, required_traits=frozenset(), forbidden_traits=frozenset())
        asked = {"seen_after": seen_after, "start": start, **values_of(plain)}
        found: list[Candidate] = []
        for chunk in self._chunks(plain, asked, self._promising(wish.demand)):
            found += self._fitting(chunk, wish.demand)
            if len(found) >= most:
                break
        return found[:most]

    def _chunks(
        self, plain: Wish, asked: Mapping[str, Any], promising: Sequence[ColumnElement[bool]]
    ) -> Iterator[list[Candidate]]:
        """Hosts that are asked for, whatever they have: mostly the first few will do."""
        for is_later in (True, False):
            query = fitting(shape_of(plain), from_start=is_later).where(*promising)
            first = self._hosts(query, asked, most=FIRST)
            yield first
            if len(first) == FIRST:
                rest = self._hosts(query, asked, most=MOST_HOSTS)[FIRST:]
                yield from (rest[at : at + AT_A_TIME] for at in range(0, len(rest), AT_A_TIME))

    def _promising(self, demand: Demand) -> list[ColumnElement[bool]]:
        """What is true of hosts whose trees have enough of each resource at least somewhere, if nobody lends it."""
        all_lent = set(self._session.scalars(lent_classes()))
        asked = [part for group in demand.groups.values() for part in group.resources.items()]
        asked += demand.resources.items()
        return [has_somewhere(name, amount) for name, amount in asked if name not in all_lent]

    def _hosts(self, query: Select[Any], asked: Mapping[str, Any], *, most: int) -> list[Candidate]:
        return [Candidate(*row) for row in self._session.execute(query, {**asked, "most": most})]

    def hosts_with(self, demand: Demand) -> frozenset[str]:
        """Names of hosts, up or not, whose trees have all of that."""
        query = select(HostRow.id, HostRow.name).join(ProviderRow, ProviderRow.id == HostRow.id)
        rows = self._session.execute(query.where(*self._promising(demand))).all()
        near, others = rows[:LOOKED_INTO], rows[LOOKED_INTO:]
        trees = self._trees([row.id for row in near])
        fit = {row.name for row in near if _first_way(trees.get(row.id, ()), row.id, demand) is not None}
        return frozenset(fit | {row.name for row in others})

    def way(self, host_id: UUID, demand: Demand, *, held: Amounts) -> Amounts | None:
        """What to take of whom for a server of that host, which holds that much already; None if it does not fit."""
        trees = self._trees([host_id])
        providers = [_without(one, held.get(one.id, {})) for one in trees.get(host_id, ())]
        return _first_way(providers, host_id, demand)

    def most_of(self, stocks: Mapping[Hashable, Mapping[str, Stock]], hosts: Sequence[Hashable]) -> Stocks:
        """Of each resource that a host's tree has, the stock with the most left.  Providers as in `all_stocks`."""
        parents: dict[Any, Any] = {row[0]: row[1] for row in self._session.execute(_ABOVE)}
        lenders = [row[0] for row in self._session.execute(_LENDERS)]
        merged = {host: dict(stocks.get(host, {})) for host in hosts}
        for below in parents:
            for above in _line(below, parents) - {below}:
                _improve(merged.get(above), stocks.get(below))
                _improve(merged.get(below), stocks.get(above))
        for lent in filter(None, map(stocks.get, lenders)):
            for of_host in merged.values():
                _improve(of_host, lent)
        return merged

    def _fitting(self, hosts: Sequence[Candidate], demand: Demand) -> Iterator[Candidate]:
        trees = self._trees([one.provider_id for one in hosts])
        ways = [(one, _first_way(trees[one.provider_id], one.provider_id, demand)) for one in hosts]
        taken = {provider for _, way in ways for provider in way or {}}
        generations = self._generations(taken) if taken else {}
        for host, way in ways:
            if way is not None:
                seen = {one: generations[one] for one in way if one != host.provider_id}
                yield replace(host, amounts=way, generations=seen)

    def _trees(self, hosts: Sequence[UUID]) -> Trees:
        """A host has what is below its own provider or above it; a lender lends to all that are in one of its aggregates."""
        top, inside = aliased(ProviderRow), aliased(ProviderRow)
        in_trees = select(inside.id).join(top, top.root_id == inside.root_id).where(top.id.in_(hosts))
        lend = select(ProviderTraitRow.provider_id).where(ProviderTraitRow.trait == SHARES)
        known = Inventories(self._session).everything(of=ProviderRow.id.in_(union(in_trees, lend)))
        parents = {one.id: one.parent_id for one in known}
        lines = {one.id: _line(one.id, parents) for one in known}
        of_root: dict[UUID, list[Provider]] = {}
        for one in known:
            of_root.setdefault(one.root_id, []).append(one)
        lenders = [one for one in known if SHARES in one.traits]
        roots = {one.id: one.root_id for one in known}
        return {
            host: [one for one in of_root[roots[host]] if host in lines[one.id] or one.id in lines[host]]
            + [one for one in lenders if one.root_id != roots[host]]
            for host in hosts
            if host in roots
        }

    def _generations(self, providers: Iterable[UUID]) -> dict[UUID, int]:
        query = select(ProviderRow.id, ProviderRow.generation).where(ProviderRow.id.in_(set(providers)))
        return {row.id: row.generation for row in self._session.execute(query)}


def _improve(stocks: dict[str, Stock] | None, by: Mapping[str, Stock] | None) -> None:
    """Of each resource the larger."""
    if stocks is None or by is None:
        return
    for name, stock in by.items():
        if name not in stocks or stock.most_for_one > stocks[name].most_for_one:
            stocks[name] = stock


def _line(provider: P, parents: Mapping[P, P | None]) -> frozenset[P]:
    """It and all above it."""
    line = {provider}
    while (above := parents.get(provider)) is not None and above not in line:
        line.add(above)
        provider = above
    return frozenset(line)


def _first_way(providers: Sequence[Provider], host_id: UUID, demand: Demand) -> Amounts | None:
    root = next((one.root_id for one in providers if one.id == host_id), host_id)
    found = Search(providers, _question(demand), trees={root}).candidates()
    return found[0].amounts if found else None


def _question(demand: Demand) -> Question:
    """Traits without resources are the host's own."""
    groups = dict(demand.groups)
    traits = tuple(frozenset({one}) for one in sorted(demand.required_traits))
    if demand.resources:
        groups[""] = Group(resources=demand.resources, required=traits, forbidden=demand.forbidden_traits)
        return Question(groups=groups, is_isolated=demand.is_isolated, limit=1)
    return Question(
        groups=groups,
        is_isolated=demand.is_isolated,
        limit=1,
        root_required=demand.required_traits,
        root_forbidden=demand.forbidden_traits,
    )


def _without(provider: Provider, held: Mapping[str, int]) -> Provider:
    """As if that were given back."""
    stocks = {name: replace(stock, used=stock.used - held.get(name, 0)) for name, stock in provider.stocks.items()}
    return replace(provider, stocks=stocks)
