"""What people may call things, and how a server's host name comes from its name."""

from __future__ import annotations

import re
import unicodedata

LONGEST_NAME = 255
LONGEST_HOSTNAME = 63

NOT_A_NAME = (
    "An invalid 'name' value was provided. "
    "The name must be: printable characters. Can not start or end with whitespace."
)


def is_printable(text: str) -> bool:
    """No control, format, private or unassigned characters, and no separators but spaces."""
    return all(_is_printable(char) for char in text)


def is_name(text: str) -> bool:
    """Printable, and with something other than space at both ends."""
    return bool(text) and is_printable(text) and text == text.strip()


def hostname_of(name: str, server_id: object) -> str:
    """A host name (RFC 952, 1123) from a server's name; `Server-<id>` if nothing of it is left."""
    plain = re.sub(r"[ _.]", "-", unicodedata.normalize("NFKD", name)).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^\w-]+", "", plain).lower().replace("_", "-")
    plain = re.sub(r"-{2,}", "-", plain[:LONGEST_HOSTNAME]).strip("-")
    return plain or f"Server-{server_id}"[:LONGEST_HOSTNAME]


def numbered(name: str, count: int) -> list[str]:
    """The names of `count` servers made by one request: the name itself, or `name-1`, `name-2`, …"""
    return [name] if count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]


def _is_printable(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] not in "CZ" or category == "Zs"
