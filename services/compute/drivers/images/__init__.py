"""Images on a host: kept once, checked before anything opens them."""

from services.compute.drivers.images.cache import ImageCache
from services.compute.drivers.images.inspection import virtual_size

__all__ = ["ImageCache", "virtual_size"]
