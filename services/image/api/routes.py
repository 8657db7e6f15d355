"""Every noun's routes, in the order in which paths are tried."""

from __future__ import annotations

from services.image.api import (
    cache,
    discovery,
    image_actions,
    image_data,
    image_tags,
    images,
    imports,
    members,
    metadata_definitions,
    metadata_parts,
    schemas_shown,
    tasks,
    versions,
)

ROUTERS = tuple(
    noun.router
    for noun in (
        versions,
        discovery,
        schemas_shown,
        images,
        image_data,
        image_actions,
        image_tags,
        members,
        imports,
        cache,
        tasks,
        metadata_definitions,
        metadata_parts,
    )
)
