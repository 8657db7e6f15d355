"""What came of a set of tests, with a reason for everything that did not pass."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from tests.interop.sets import Excused
from tests.interop.tempest import Result

SHOWN_LINES = 6
COLUMNS = ("tests", "passed", "failed", "skipped", "of these without a reason")


@dataclass(frozen=True, slots=True)
class Report:
    name: str
    exceptions: Sequence[Excused]
    results: Sequence[Result]

    @property
    def passed(self) -> list[Result]:
        return [one for one in self.results if one.status == "success"]

    @property
    def failed(self) -> list[Result]:
        return [one for one in self.results if one.status in ("fail", "uxsuccess")]

    @property
    def skipped(self) -> list[Result]:
        return [one for one in self.results if one.status in ("skip", "xfail")]

    @property
    def surprises(self) -> list[Result]:
        """Those that nobody gave a reason for; no tests at all are one, too."""
        nothing = [Result(self.name, "fail", "no test ran", 0)] if not self.results else []
        return nothing + [one for one in (*self.failed, *self.skipped) if self.reason(one) is None]

    @property
    def needless(self) -> list[str]:
        """Expressions of `sets.toml` that excuse a test which passed, or none at all."""
        return [
            one.tests
            for one in self.exceptions
            if any(re.search(one.tests, each.test) for each in self.passed)
            or not any(re.search(one.tests, each.test) for each in self.results)
        ]

    def reason(self, result: Result) -> str | None:
        return next((one.reason for one in self.exceptions if one.excuses(result.test, result.told)), None)

    def _line(self, one: Result) -> str:
        return f"{'failed ' if one in self.failed else 'skipped'}  {_short(one.test)}"

    def show(self, console: Console) -> None:
        """Each reason with the tests that it is given for, then what has none and what Tempest told of it."""
        console.print(f"\n[bold]{self.name}[/bold] ({sum(one.seconds for one in self.results):.0f} s of tests)")
        excused: dict[str, list[Result]] = {}
        for one in (*self.failed, *self.skipped):
            excused.setdefault(self.reason(one) or "", []).append(one)
        surprises = excused.pop("", [])
        for reason, tests in excused.items():
            console.print(f"\n  {escape(reason)}")
            for one in tests:
                console.print(f"    {escape(self._line(one))}")
        for one in surprises:
            console.print(f"\n  [red]NO REASON GIVEN[/red]  {escape(self._line(one))}\n    {escape(_end(one.told))}")


def show(reports: Sequence[Report], *, whole_sets: bool) -> None:
    """All reports, and last a line for each set."""
    console = Console(width=160, highlight=False, soft_wrap=True)
    for report in reports:
        report.show(console)
        for needless in report.needless if whole_sets else ():
            console.print(f"\n  A reason that no test needs, or one that passed: {escape(needless)}")
    table = Table("set", *(Column(name, justify="right") for name in COLUMNS), box=None, pad_edge=False)
    for one in reports:
        counts = (one.results, one.passed, one.failed, one.skipped, one.surprises)
        table.add_row(one.name, *(str(len(each)) for each in counts))
    console.print()
    console.print(table)


def _short(test: str) -> str:
    return re.sub(r"\[.*?\]", "", test).removeprefix("tempest.api.")


def _end(told: str) -> str:
    return "\n    ".join(told.splitlines()[-SHOWN_LINES:])
