"""The named sets of tests: which of Tempest's tests belong to each, what they need to know, and what cannot pass and why."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Excused(BaseModel):
    """Tests that are skipped or fail, and the reason that a reader can judge."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tests: str  # regular expression on a test's name
    reason: str


class Set(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    tests: str  # regular expression on a test's name
    exclude: str = ""
    concurrency: int = 2
    configuration: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)  # section -> option -> value
    exceptions: tuple[Excused, ...] = ()


def _read() -> dict[str, Set]:
    written = tomllib.loads((Path(__file__).parent / "sets.toml").read_text())
    return {name: Set.model_validate(one) for name, one in written.items()}


SETS = _read()
