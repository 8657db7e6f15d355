"""How much of images a project may have.  Names on the wire: Image API reference, v2, "Quota usage"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from common.errors import TooLarge

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """Limits, or what is used of them."""

    size_bytes: int
    staged_bytes: int
    images: int
    uploading: int

    @classmethod
    def of(cls, limits: Any) -> Self:
        """Those of the settings; -1 is none."""
        return cls(
            size_bytes=limits.project_quota_bytes,
            staged_bytes=limits.project_quota_staged_bytes,
            images=limits.project_quota_images,
            uploading=limits.project_quota_uploading,
        )

    def shown(self, used: Quotas) -> dict[str, dict[str, int]]:
        return {
            "image_size_total": {"limit": _mib(self.size_bytes), "usage": _mib(used.size_bytes)},
            "image_stage_total": {"limit": _mib(self.staged_bytes), "usage": _mib(used.staged_bytes)},
            "image_count_total": {"limit": self.images, "usage": used.images},
            "image_count_uploading": {"limit": self.uploading, "usage": used.uploading},
        }

    def must_have_room_for_an_image(self, used: Quotas) -> None:
        """TooLarge"""
        if 0 <= self.images <= used.images:
            raise TooLarge(f"The project may have {self.images} images and has {used.images} already")

    def must_have_room_for_an_upload(self, used: Quotas) -> None:
        """TooLarge"""
        if 0 <= self.uploading <= used.uploading:
            raise TooLarge(f"The project may have {self.uploading} uploads at a time and has {used.uploading} already")


def _mib(size: int) -> int:
    """Rounded up; -1 stays."""
    return size if size < 0 else -(-size // MIB)
