"""The built-in rules against OpenStack's own: whoever knows who may do what there knows it here."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from docs.personas import OTHER, OWN, PERSONAS, SERVICES, policies
from tests.conftest import ROOT

TABLE = tomllib.loads((Path(__file__).parent / "openstack_rules.toml").read_text())
LETTERS = dict(zip(PERSONAS, "ASsDdMmrnv", strict=True))
GUIDE = (ROOT / "docs/guide/change-the-policy.md").read_text().partition("## Where the built-in rules differ")[2]


class Everything(Mapping[str, Any]):
    """A target all of whose fields say whose it is."""

    def __init__(self, whose: str) -> None:
        self._whose = whose

    def __getitem__(self, name: str) -> str:
        return self._whose

    def __iter__(self) -> Iterator[str]:
        return iter(("project_id", "user_id", "domain_id"))

    def __len__(self) -> int:
        return 3


def written(service: str, rule: str) -> str:
    """Who may, as the table has it."""
    policy = policies()[service]
    may = [
        "".join(LETTERS[name] for name, caller in PERSONAS.items() if policy.allows(rule, caller, Everything(whose)))
        for whose in (OWN, OTHER)
    ]
    return " / ".join(may)


@pytest.mark.parametrize("service", SERVICES)
def test_a_rule_lets_those_pass_whom_it_lets_pass_in_openstack(service: str) -> None:
    known = {rule: said for rule, said in TABLE[service].items() if rule in SERVICES[service][1]}

    different = {rule: (written(service, rule), said) for rule, said in known.items() if written(service, rule) != said}

    assert len(known) > 30
    told = {rule: how for rule, how in different.items() if f"`{rule}`" not in GUIDE}
    assert told == {}, "rule: (ours, OpenStack's); the guide does not say why"


@pytest.mark.parametrize("service", SERVICES)
def test_a_rule_that_openstack_does_not_have_is_told(service: str) -> None:
    operations = {rule for rule in SERVICES[service][1] if ":" in rule or service == "image"}

    assert [rule for rule in operations - TABLE[service].keys() if f"`{rule}`" not in GUIDE] == []


def test_the_guide_tells_no_difference_that_is_gone() -> None:
    named = [
        rule
        for line in GUIDE.splitlines()
        for rule in re.findall(r"`([\w:-]+)`", line.split("|")[1] if "|" in line else "")
    ]
    known = {rule: service for service in SERVICES for rule in SERVICES[service][1]}

    assert named
    same = [rule for rule in named if rule in known and TABLE[known[rule]].get(rule) == written(known[rule], rule)]
    assert same == [] and [rule for rule in named if rule not in known] == []
