"""What may be asked of consoles.  Words that no guest here answers to are known all the same, as in OpenStack."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from common.errors import InvalidInput
from services.compute.api.schemas.parts import Part

Protocol = Literal["vnc", "spice", "rdp", "serial", "mks"]
Kind = Literal["novnc", "xvpvnc", "rdp-html5", "spice-html5", "serial", "webmks", "spice-direct"]
WORDS_SINCE = {"mks": 8, "webmks": 8, "spice-direct": 99}


class AskedConsole(Part):
    protocol: Protocol
    kind: Kind = Field(alias="type")


class RemoteConsole(Part):
    remote_console: AskedConsole


class VncConsole(Part):
    kind: Annotated[Literal["novnc", "xvpvnc"], Field(alias="type")]


class SpiceConsole(Part):
    kind: Annotated[Literal["spice-html5"], Field(alias="type")]


class RdpConsole(Part):
    kind: Annotated[Literal["rdp-html5"], Field(alias="type")]


class SerialConsole(Part):
    kind: Annotated[Literal["serial"], Field(alias="type")]


OldConsole = VncConsole | SpiceConsole | RdpConsole | SerialConsole


def must_be_words_of(version: int, asked: AskedConsole) -> None:
    """InvalidInput for a word that came later."""
    for name, word in (("protocol", asked.protocol), ("type", asked.kind)):
        if version < WORDS_SINCE.get(word, 1):
            raise InvalidInput(f"Invalid input for field/attribute {name}. Value: {word}. '{word}' is not known yet")
