"""Every noun's routes, in the order in which paths are tried."""

from __future__ import annotations

from services.image.api import discovery, image_data, image_tags, images, versions

ROUTERS = tuple(noun.router for noun in (versions, discovery, images, image_data, image_tags))
