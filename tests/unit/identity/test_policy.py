"""Each route has a rule that is declared, and each declared rule is used."""

from __future__ import annotations

import re
from pathlib import Path

import services.identity.api
from services.identity.api import RULES
from services.identity.api.grants import SHAPES

SOURCES = [
    file.read_text() for file in Path(services.identity.api.__file__).parent.glob("*.py") if file.name != "policy.py"
]


def test_every_declared_rule_guards_something() -> None:
    written = "\n".join(SOURCES)
    grants = {shape.rule(verb) for shape in SHAPES for verb in ("list", "check", "create", "revoke")}

    unused = {rule for rule in RULES if rule.startswith("identity:") and f'"{rule}"' not in written} - grants

    assert unused == set()


def test_every_rule_that_guards_something_is_declared() -> None:
    used = {rule for source in SOURCES for rule in re.findall(r'"(identity:\w+)"', source)}

    assert used <= RULES.keys()
