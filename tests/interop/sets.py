"""The named sets of tests: which of Tempest's tests belong to each, what they need to know, and what cannot pass and why."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Excused(BaseModel):
    """Tests that are skipped or fail, and the reason that a reader can judge.  Another failure than `says` is not excused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tests: str  # regular expression on a test's name
    reason: str
    says: str = ""  # regular expression on what Tempest told: the reason of a skip, the end of a traceback

    def excuses(self, test: str, told: str) -> bool:
        return bool(re.search(self.tests, test) and re.search(self.says, told))


class Set(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    tests: str  # regular expression on a test's name
    exclude: str = ""
    concurrency: int = 2
    image_files: bool = False  # whether they need image files of every format
    image_properties: Mapping[str, str] = Field(default_factory=dict)  # of the image that their servers start from
    cloud: Mapping[str, str] = Field(default_factory=dict)  # options of a cloud of its own, as environment variables
    configuration: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)  # section -> option -> value
    exceptions: tuple[Excused, ...] = ()


def _read() -> dict[str, Set]:
    written = tomllib.loads((Path(__file__).parent / "sets.toml").read_text())
    return {name: Set.model_validate(one) for name, one in written.items()}


SETS = _read()
