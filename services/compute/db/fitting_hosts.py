"""The queries that find hosts: built once for each shape of question, since that costs more than asking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import BindParameter, Select, String, and_, bindparam, exists, func, or_, select, type_coerce
from sqlalchemy.orm import aliased

from services.compute.core.placement import ResourceClass
from services.compute.core.scheduling import Wish
from services.compute.db.placement_tables import InventoryRow, ProviderRow, ProviderTraitRow
from services.compute.db.tables import ServiceRow

COMPUTE = "nova-compute"
WEIGHED = (ResourceClass.MEMORY_MB.value, ResourceClass.VCPU.value, ResourceClass.DISK_GB.value)
"""In the order in which a `Candidate` tells what is free."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What is asked at all; the values come with each question."""

    resources: frozenset[str]
    has_zone: bool
    has_host: bool
    has_allowed: bool
    has_avoided: bool
    required_traits: frozenset[str]
    forbidden_traits: frozenset[str]


def shape_of(wish: Wish) -> Shape:
    return Shape(
        resources=frozenset(wish.resources),
        has_zone=wish.zone is not None,
        has_host=wish.host is not None,
        has_allowed=wish.allowed is not None,
        has_avoided=bool(wish.avoided),
        required_traits=wish.required_traits,
        forbidden_traits=wish.forbidden_traits,
    )


def values_of(wish: Wish) -> dict[str, Any]:
    return {
        **{str(resource): wanted for resource, wanted in wish.resources.items()},
        **({"zone": wish.zone} if wish.zone is not None else {}),
        **({"host": wish.host} if wish.host is not None else {}),
        **({"allowed": sorted(wish.allowed)} if wish.allowed is not None else {}),
        **({"avoided": sorted(wish.avoided)} if wish.avoided else {}),
    }


@lru_cache(maxsize=256)
def fitting(shape: Shape, *, from_start: bool) -> Select[Any]:
    """Up to :most hosts that pass every filter of `core/filters.py`, by id; from id :start on, or before it."""
    names = sorted(shape.resources | set(WEIGHED))
    stocks = {name: aliased(InventoryRow, name=f"stock_{at}") for at, name in enumerate(names)}
    columns = (ProviderRow.id, ProviderRow.name, ServiceRow.zone, ProviderRow.generation)
    free = [func.coalesce(_free(stocks[name]), 0) for name in WEIGHED]
    query = select(*columns, *free).join(ServiceRow, _is_host())
    for resource, stock in stocks.items():
        if resource in shape.resources:
            wanted: BindParameter[int] = bindparam(str(resource))
            query = query.join(stock, _of_class(stock, resource))
            query = query.where(_free(stock) >= wanted, stock.max_unit >= wanted, stock.min_unit <= wanted)
            query = query.where(or_(stock.step_size == 1, wanted % stock.step_size == 0))
        else:
            query = query.outerjoin(stock, _of_class(stock, resource))
    start = bindparam("start", type_=ProviderRow.id.type)
    side = ProviderRow.id >= start if from_start else ProviderRow.id < start
    return query.where(side, *_is_working(), *_asked(shape)).order_by(ProviderRow.id).limit(bindparam("most"))


@lru_cache(maxsize=1)
def all_hosts() -> Select[Any]:
    """Provider (as in `all_stocks`), name, zone, is_disabled, its reason, is_forced_down, seen_at of all."""
    row = ServiceRow
    columns: tuple[Any, ...] = (
        type_coerce(ProviderRow.id, String),
        row.host,
        row.zone,
        row.is_disabled,
        row.disabled_reason,
        row.is_forced_down,
        row.seen_at,
    )
    return select(*columns).select_from(ProviderRow).join(row, _is_host()).order_by(row.host)


@lru_cache(maxsize=1)
def all_stocks() -> Select[Any]:
    """Of the classes in :resources, provider and class; then the numbers of a `Stock`.

    Providers as the driver gives them: to make UUIDs of so many takes longer than to read them.
    """
    row = InventoryRow
    numbers: tuple[Any, ...] = (
        row.total,
        row.reserved,
        row.allocation_ratio,
        row.used,
        row.max_unit,
        row.min_unit,
        row.step_size,
    )
    asked = row.resource_class.in_(bindparam("resources", expanding=True))
    return select(type_coerce(row.provider_id, String), row.resource_class, *numbers).where(asked)


def _is_host() -> Any:
    return and_(ServiceRow.host == ProviderRow.name, ServiceRow.binary == COMPUTE)


def _of_class(stock: Any, resource: str) -> Any:
    return and_(stock.provider_id == ProviderRow.id, stock.resource_class == str(resource))


def _free(stock: Any) -> Any:
    return (stock.total - stock.reserved) * stock.allocation_ratio - stock.used


def _is_working() -> tuple[Any, ...]:
    heard = ServiceRow.seen_at > bindparam("seen_after", type_=ServiceRow.seen_at.type)
    return (ServiceRow.is_disabled.is_(False), ServiceRow.is_forced_down.is_(False), heard)


def _asked(shape: Shape) -> list[Any]:
    # fmt: off
    wanted: Mapping[str, tuple[bool, Any]] = {
        "zone":    (shape.has_zone,    ServiceRow.zone == bindparam("zone")),
        "host":    (shape.has_host,    ProviderRow.name == bindparam("host")),
        "allowed": (shape.has_allowed, ProviderRow.name.in_(bindparam("allowed", expanding=True))),
        "avoided": (shape.has_avoided, ProviderRow.name.not_in(bindparam("avoided", expanding=True))),
    }
    # fmt: on
    traits = [_has_trait(trait) for trait in sorted(shape.required_traits)]
    traits += [~_has_trait(trait) for trait in sorted(shape.forbidden_traits)]
    return [clause for is_asked, clause in wanted.values() if is_asked] + traits


def _has_trait(trait: str) -> Any:
    row = ProviderTraitRow
    return exists().where(row.provider_id == ProviderRow.id, row.trait == trait)
