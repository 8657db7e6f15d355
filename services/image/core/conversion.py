"""Which images are converted when they are imported, and what QEMU calls their formats."""

from __future__ import annotations

from services.image.core.images import Attributes
from services.image.core.signatures import is_signed

QEMU_NAMES = {"qcow2": "qcow2", "raw": "raw", "gpt": "raw", "vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc", "vhdx": "vhdx"}
USED_AS = {"gpt": "raw"}  # the same bytes for a host


def wants_conversion(attributes: Attributes, target: str) -> bool:
    """Whether the bytes should become others; a signed image keeps those that were signed."""
    own = attributes.disk_format or ""
    return (
        target != ""
        and attributes.container_format == "bare"
        and own in QEMU_NAMES
        and USED_AS.get(own, own) != target
        and not is_signed(attributes.properties)
    )
