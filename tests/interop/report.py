"""What came of a set of tests, with a reason for everything that did not pass."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape

from tests.interop.sets import Excused
from tests.interop.tempest import Result

SHOWN_LINES = 6


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

    def reason(self, result: Result) -> str | None:
        return next((one.reason for one in self.exceptions if re.search(one.tests, result.test)), None)

    def show(self) -> None:
        console = Console(width=160, highlight=False)
        counts = f"{len(self.passed)} passed, {len(self.failed)} failed, {len(self.skipped)} skipped"
        console.print(
            f"\n[bold]{self.name}[/bold]: {counts} ({sum(one.seconds for one in self.results):.0f} s of tests)"
        )
        for one in (*self.failed, *self.skipped):
            word = "failed " if one in self.failed else "skipped"
            why = self.reason(one) or f"NO REASON GIVEN: {_end(one.told)}"
            console.print(f"  {word} {escape(_short(one.test))}\n          {escape(why)}")
        console.print(f"{len(self.passed)} passed, {len(self.surprises)} failed, {len(self.skipped)} skipped")


def _short(test: str) -> str:
    return test.split("[")[0].removeprefix("tempest.api.")


def _end(told: str) -> str:
    return "\n          ".join(told.splitlines()[-SHOWN_LINES:])
