"""Bodies about key pairs."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import StrictStr

from common.errors import InvalidInput
from services.compute.api.schemas.parts import Name, Part, Text255

OLD_NAME, NEW_NAME = r"[_\- a-zA-Z0-9]+", r"[_\-\@\. a-zA-Z0-9]+"  # `@` and `.` came with 2.92


class NewKeypair(Part):
    since: ClassVar = {"type": 2, "user_id": 10}
    needed_since: ClassVar = {"public_key": 92}

    name: Name
    public_key: StrictStr | None = None
    type: Literal["ssh", "x509"] = "ssh"
    user_id: Text255 | None = None


class CreateKeypair(Part):
    keypair: NewKeypair


def must_be_key_name(name: str, version: int) -> None:
    """InvalidInput"""
    pattern = NEW_NAME if version >= 92 else OLD_NAME
    if re.fullmatch(pattern, name) is None:
        shown = name[:64]
        raise InvalidInput(
            f"Invalid input for field/attribute name. Value: {shown}. '{shown}' does not match '^{pattern}$'"
        )
