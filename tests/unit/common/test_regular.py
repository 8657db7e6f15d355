"""Regular expressions of strangers find what Python's would, and never take long."""

from __future__ import annotations

import re

import pytest

from common.regular import Unreadable, expression, found

TEXTS = ["", "web-1", "WEB-22", "a.b", "aab", "a\tc", "x_y", "50%", "naïve", "雲", "-]^", "a" * 30, "db-east-007"]
# fmt: off
PATTERNS = [
    "", "web", "^web", "1$", "^$", "^web-[0-9]+$", "[^a-z]", "a|db", "(a|b)+c?", "(?:a|b){2,3}$", "a{0}b", "x{2,}",
    "^.{5}$", r"\d\d", r"\D", r"^\S+$", r"\.", r"[\d_]", r"[]-]", "[-a]", "a??b", "(a*)*$", "[à-ï]", "雲", "((a))", "[A-F]b",
]
# fmt: on


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_finds_what_pythons_does(pattern: str) -> None:
    for text in TEXTS:
        assert found(pattern, text) == (re.search(pattern, text, re.IGNORECASE) is not None), text
    assert found(pattern, None) is None


@pytest.mark.parametrize(
    "pattern",
    ["(", ")", "a)", "[", "[z-a]", "*", "a**", "+", r"(a)\1", "(?=a)", "\\", "a{3,2}", "a{9999}", "(a{99}){99}", "x" * 256, "\0",
     "\ud800"],
)  # fmt: skip
def test_what_is_malformed_or_asks_for_too_much_can_not_be_read(pattern: str) -> None:
    with pytest.raises(Unreadable):
        expression(pattern)


@pytest.mark.parametrize("pattern", ["(a*)*b", "(a|a)*b", "(.*.*.*.*.*.*)*b", "a*a*a*a*a*a*a*a*a*b", "(a?){60}a{60}b"])
def test_a_pattern_that_would_keep_pythons_busy_for_years_ends(pattern: str) -> None:
    assert not found(pattern, "a" * 255)
