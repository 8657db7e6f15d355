"""The queries that find hosts: built once for each shape of question, since that costs more than asking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import BindParameter, Select, and_, bindparam, exists, func, select
from sqlalchemy.orm import aliased

from services.compute.core.placement import ResourceClass
from services.compute.core.scheduling import Wish
from services.compute.db.placement_tables import InventoryRow, ProviderRow, ProviderTraitRow
from services.compute.db.tables import ServiceRow

COMPUTE = "nova-compute"


@dataclass(frozen=True, slots=True)
class Shape:
    """What is asked at all; the values come with each question."""

    resources: frozenset[ResourceClass]
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
        **{resource.value: wanted for resource, wanted in wish.resources.items()},
        **({"zone": wish.zone} if wish.zone is not None else {}),
        **({"host": wish.host} if wish.host is not None else {}),
        **({"allowed": sorted(wish.allowed)} if wish.allowed is not None else {}),
        **({"avoided": sorted(wish.avoided)} if wish.avoided else {}),
    }


@lru_cache(maxsize=256)
def fitting(shape: Shape, *, from_start: bool) -> Select[Any]:
    """Up to :most hosts that pass every filter of `core/filters.py`, by id; from id :start on, or before it."""
    stocks = _stocks()
    memory, vcpu = stocks[ResourceClass.MEMORY_MB], stocks[ResourceClass.VCPU]
    columns = (ProviderRow.id, ProviderRow.name, ServiceRow.zone, ProviderRow.generation)
    query = select(*columns, func.coalesce(_free(memory), 0), func.coalesce(_free(vcpu), 0)).join(
        ServiceRow, _is_host()
    )
    for resource, stock in stocks.items():
        if resource in shape.resources:
            wanted: BindParameter[int] = bindparam(resource.value)
            query = query.join(stock, _of_class(stock, resource))
            query = query.where(_free(stock) >= wanted, stock.max_unit >= wanted)
        else:
            query = query.outerjoin(stock, _of_class(stock, resource))
    start = bindparam("start", type_=ProviderRow.id.type)
    side = ProviderRow.id >= start if from_start else ProviderRow.id < start
    return query.where(side, *_is_working(), *_asked(shape)).order_by(ProviderRow.id).limit(bindparam("most"))


@lru_cache(maxsize=1)
def all_hosts() -> Select[Any]:
    """Name, zone, is_disabled, its reason, is_forced_down, seen_at of all; then five numbers for each resource class."""
    row, stocks = ServiceRow, _stocks()
    numbers = [
        column
        for one in stocks.values()
        for column in (one.total, one.reserved, one.allocation_ratio, one.used, one.max_unit)
    ]
    columns = (row.host, row.zone, row.is_disabled, row.disabled_reason, row.is_forced_down, row.seen_at)
    query = select(*columns, *numbers).select_from(ProviderRow).join(row, _is_host())
    for resource, stock in stocks.items():
        query = query.outerjoin(stock, _of_class(stock, resource))
    return query.order_by(row.host)


def _stocks() -> dict[ResourceClass, Any]:
    return {resource: aliased(InventoryRow, name=resource.value.lower()) for resource in ResourceClass}


def _is_host() -> Any:
    return and_(ServiceRow.host == ProviderRow.name, ServiceRow.binary == COMPUTE)


def _of_class(stock: Any, resource: ResourceClass) -> Any:
    return and_(stock.provider_id == ProviderRow.id, stock.resource_class == resource.value)


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
