"""What the image service tells on the bus."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from common.audit import Activity
from common.bus.messages import Event


class ImageChanged(Event):
    """The attributes of an image are others now."""

    topic: ClassVar[str] = "image.image.changed"
    image_id: UUID
    project_id: str | None


class ImageCreated(ImageChanged):
    """There is a new image, without bytes yet."""

    topic: ClassVar[str] = "image.image.created"


class ImageActivated(ImageChanged):
    """The image's bytes are complete and found safe."""

    topic: ClassVar[str] = "image.image.activated"
    size: int


class ImageRefused(ImageChanged):
    """The bytes sent were not taken; the image waits for others."""

    topic: ClassVar[str] = "image.image.refused"
    reason: str


class ImageDeleted(ImageChanged):
    """The image and its bytes are gone."""

    topic: ClassVar[str] = "image.image.deleted"


class ImageActivity(Activity):
    """For audit: a call to the image service that would change something, and how it ended."""

    topic: ClassVar[str] = "audit.image.activity"
