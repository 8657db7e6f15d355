"""With whom an image is shared, and what they say to it.  Image API reference, v2, "Sharing"."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from common.errors import Forbidden
from services.image.core.images import Image, Visibility


class Answer(StrEnum):
    """What a project says to being a member; only accepted images are in its lists."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Member:
    image_id: UUID
    member_id: str  # a project's id
    status: Answer
    created_at: datetime
    updated_at: datetime


def must_be_shared(image: Image) -> None:
    """Forbidden for an image of any other visibility: it has no members."""
    if image.attributes.visibility is not Visibility.SHARED:
        raise Forbidden("Only shared images have members.")
