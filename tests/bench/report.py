"""The table that `make bench` prints: what was measured, its budget, its figure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One line.  `keeps` is None where no budget is set."""

    what: str
    budget: str
    figure: str
    keeps: bool | None


def within(what: str, value: float, most: float, unit: str, note: str = "") -> Figure:
    """A figure that should stay below its budget."""
    return Figure(what, f"< {most:g} {unit}", f"{value:.3g} {unit}{note}", value < most)


def above(what: str, value: float, least: float, unit: str, note: str = "") -> Figure:
    """A figure that should exceed its budget."""
    return Figure(what, f"> {least:g} {unit}", f"{value:.3g} {unit}{note}", value > least)


def told(what: str, figure: str) -> Figure:
    return Figure(what, "", figure, None)


def show(figures: list[Figure], *, file: Path | None) -> None:
    table = Table("what", "budget", "figure", "")
    for one in figures:
        mark = "" if one.keeps is None else "[green]kept[/]" if one.keeps else "[red]missed[/]"
        table.add_row(one.what, one.budget, one.figure, mark)
    Console().print(table)
    if file is not None:
        file.write_text(json.dumps([asdict(one) for one in figures], indent=1) + "\n")
