"""What is said of a run of Tempest: every chosen test once, and a reason for each that did not pass."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from tests.interop.report import Report
from tests.interop.sets import SETS, Excused
from tests.interop.tempest import Result, complete

VOLUMES = Excused(tests=r"test_attach", reason="There are no volumes.", says="Endpoint not found")


def a_result(test: str, status: str = "success", told: str = "") -> Result:
    return Result(f"tempest.api.{test}", status, told, 1.0)


def a_report(*results: Result) -> Report:
    return Report("compute", [VOLUMES], results)


def test_the_tests_of_a_class_that_was_skipped_are_each_skipped_for_its_reason() -> None:
    skipped = Result("setUpClass (tempest.api.a.Moves)", "skip", "one host", 0.5)

    found = complete(["tempest.api.a.Moves.test_there[id-1]", "tempest.api.a.Moves.test_back(a.b)[id-2]"], [skipped])

    assert [(one.test, one.status, one.told) for one in found] == [
        ("tempest.api.a.Moves.test_there[id-1]", "skip", "one host"),
        ("tempest.api.a.Moves.test_back(a.b)[id-2]", "skip", "one host"),
    ]


def test_a_test_that_nobody_told_of_has_failed() -> None:
    passed = a_result("a.Servers.test_list[id-1]")

    found = complete([passed.test, "tempest.api.a.Servers.test_show[id-2]"], [passed])

    assert [one.status for one in found] == ["success", "fail"]


def test_the_end_of_a_class_that_failed_counts_beside_its_tests() -> None:
    passed = a_result("a.Servers.test_list[id-1]")
    end = Result("tearDownClass (tempest.api.a.Servers)", "fail", "boom", 0)

    assert complete([passed.test], [passed, end]) == [passed, end]


def test_a_failure_of_another_kind_than_its_excuse_says_is_a_surprise() -> None:
    excused = a_result("a.Volumes.test_attach", "fail", "Traceback\nEndpoint not found")
    other = a_result("a.Volumes.test_attach", "fail", "Traceback\n500 Internal Server Error")

    assert a_report(excused, other).surprises == [other]


def test_no_test_at_all_is_a_surprise() -> None:
    assert a_report().surprises


def test_a_report_gives_a_reason_once_with_its_tests_and_shows_what_surprises_told() -> None:
    console = Console(file=StringIO(), width=160)

    a_report(
        a_result("a.Volumes.test_attach_one[id-1]", "fail", "Endpoint not found"),
        a_result("a.Volumes.test_attach_two[id-2](raw)", "skip", "Endpoint not found"),
        a_result("a.Servers.test_list[id-3]", "fail", "it went wrong"),
    ).show(console)

    assert console.file.getvalue().splitlines()[3:] == [  # type: ignore[attr-defined]
        "  There are no volumes.",
        "    failed   a.Volumes.test_attach_one",
        "    skipped  a.Volumes.test_attach_two(raw)",
        "",
        "  NO REASON GIVEN  failed   a.Servers.test_list",
        "    it went wrong",
    ]


def test_a_reason_that_a_passing_test_has_is_told_as_needless() -> None:
    assert a_report(a_result("a.Volumes.test_attach")).needless == [VOLUMES.tests]
    assert a_report(a_result("a.Volumes.test_attach", "fail", "Endpoint not found")).needless == []


def test_every_exception_has_a_sentence_for_a_reason() -> None:
    assert all(one.reason.endswith(".") for each in SETS.values() for one in each.exceptions)
