"""Every noun's routes, in the order in which paths are tried."""

from __future__ import annotations

from fastapi import APIRouter

from services.compute.api.placement import (
    aggregates,
    allocation_candidates,
    allocations,
    inventories,
    providers,
    reshaper,
    resource_classes,
    root,
    traits,
    usages,
)

ROUTERS: tuple[APIRouter, ...] = (
    root.routes,
    providers.routes,
    inventories.routes,
    usages.routes,
    aggregates.routes,
    traits.routes,
    resource_classes.routes,
    allocations.routes,
    allocation_candidates.routes,
    reshaper.routes,
)
