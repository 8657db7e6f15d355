"""Every noun's routes, in the order in which paths are tried."""

from __future__ import annotations

from fastapi import APIRouter

from services.compute.api import (
    aggregates,
    availability_zones,
    discovery,
    extensions,
    external_events,
    flavor_access,
    flavor_extra_specs,
    flavors,
    hosts,
    hypervisors,
    instance_actions,
    keypairs,
    limits,
    network_proxies,
    quota_classes,
    quotas,
    removed,
    server_actions,
    server_groups,
    server_insides,
    server_metadata,
    server_parts,
    server_tags,
    servers,
    services,
    usage,
)

ROUTERS: tuple[APIRouter, ...] = tuple(
    noun.routes
    for noun in (
        discovery,
        servers,
        server_actions,
        server_groups,
        server_insides,
        server_metadata,
        server_tags,
        server_parts,
        instance_actions,
        flavors,
        flavor_extra_specs,
        flavor_access,
        keypairs,
        services,
        hypervisors,
        availability_zones,
        aggregates,
        quotas,
        quota_classes,
        limits,
        usage,
        extensions,
        hosts,
        external_events,
        network_proxies,
        removed,
    )
)
