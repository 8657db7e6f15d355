"""An operator's policy file counts from the start, and a change of it at once; what is wrong in it never counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.auth.policy import Policy
from common.auth.policy_file import FilePolicy, policy_of, probe, read
from common.errors import InvalidInput, Unavailable
from tests.unit.common.test_tokens import a_caller

IMAGE = {"get_image": "role:reader", "add_image": "rule:project_member_or_admin"}
COMPUTE = {"os_compute_api:servers:create": "rule:project_member_or_admin"}
IDENTITY = {"identity:list_users": "rule:cloud_reader", "cloud_reader": "role:admin"}
SERVICES = {"image": IMAGE, "compute": COMPUTE, "identity": IDENTITY}

WHOLE = """
"os_compute_api:servers:create": "rule:builders"
"identity:list_users": "rule:cloud_reader or rule:auditors"
"get_image": ""
"builders": "rule:auditors or role:builder"
"auditors": "role:auditor"
"admin": "role:admin or role:operator"
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "policy.yaml"
    file.write_text(text)
    return file


def test_each_service_takes_what_is_its_own_and_what_that_is_made_of(tmp_path: Path) -> None:
    file = written(tmp_path, WHOLE)

    taken = {service: read(file, service, rules).rules for service, rules in SERVICES.items()}

    assert taken["compute"]["os_compute_api:servers:create"] == "rule:builders"
    assert "builders" in taken["compute"] and "builders" not in taken["identity"]
    assert taken["identity"]["auditors"] == "role:auditor" and "auditors" not in taken["image"]
    assert taken["image"]["get_image"] == "@"
    assert {rules["admin"] for rules in taken.values()} == {"role:admin or role:operator"}


def test_the_built_in_rules_stand_where_the_file_says_nothing(tmp_path: Path) -> None:
    policy = policy_of(written(tmp_path, "get_image: role:admin"), "image", IMAGE)

    assert policy.allows("add_image", a_caller(), {"project_id": "p1"})
    assert not policy.allows("get_image", a_caller())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('\n"get_imag": "role:admin"', r"line 2: there is no policy rule 'get_imag'"),
        ('"os_compute_api:server:create": "@"', r"line 1: there is no policy rule 'os_compute_api:server:create'"),
        ('"idenity:list_users": "@"', r"line 1: no service has policy rules like 'idenity:list_users'"),
        ('"get_image": "role:admin or"', r"line 1: Policy check ends too early"),
        ('"get_image": "rle:admin"', r"line 1: .*a caller has no 'rle'"),
        ('"get_image": "(role:admin"', r"line 1: .*closing parenthesis"),
        ('"get_image": "' + "(" * 5000 + '"', r"line 1: .*too deep"),
        ('"get_image": "rule:nothing"', r"get_image' uses unknown rules: nothing"),
        ('"get_image": "rule:a"\n"a": "rule:b"\n"b": "rule:a"', r"made of itself"),
        ('"get_image": "@"\n"get_image": "!"', r"line 2: .*there twice"),
        ('"get_image":\n  - role:admin', r"line 1: a line is NAME"),
        ("- get_image", r"line 1: a line is NAME"),
        ('"get_image": "@', r"is not YAML"),
        ("get_image: !!python/object/apply:os.system ['id']", r"line 1: a line is NAME"),
        ("\0", r"is not YAML"),
    ],
)
def test_what_is_wrong_stops_the_start_and_is_named(tmp_path: Path, text: str, says: str) -> None:
    file = written(tmp_path, text)

    with pytest.raises(InvalidInput, match=says):
        for service, rules in SERVICES.items():
            policy_of(file, service, rules)


def test_a_file_that_is_missing_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="Cannot read the policy file"):
        policy_of(tmp_path / "none.yaml", "image", IMAGE)


def test_a_changed_file_counts_and_a_broken_one_is_told_and_left_out(tmp_path: Path) -> None:
    file = written(tmp_path, "get_image: role:admin")
    policy = policy_of(file, "image", IMAGE)
    assert isinstance(policy, FilePolicy)
    said: list[tuple[bool, str, bool]] = []

    for text in ("get_image: '@'", "get_image: 'rule:'", "get_image: role:member"):
        written(tmp_path, text + " " * len(said))
        policy.look()
        said.append((policy.allows("get_image", a_caller()), policy.rules["get_image"], policy.complaint is None))

    assert said == [(True, "@", True), (True, "@", False), (True, "role:member", True)]


def test_a_decision_takes_a_changed_file_into_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.auth.policy_file.LOOK_EVERY_S", 0)
    file = written(tmp_path, "get_image: role:admin")
    policy = policy_of(file, "image", IMAGE)

    written(tmp_path, "get_image: '@'")

    assert policy.allows("get_image", a_caller())


def test_a_broken_file_is_shown_to_who_asks_whether_all_is_well(tmp_path: Path) -> None:
    policy = policy_of(written(tmp_path, "get_image: role:admin"), "image", IMAGE)
    probe(policy)

    written(tmp_path, "get_imagine: role:admin")

    with pytest.raises(Unavailable, match=r"get_imagine.*older rules are in force"):
        probe(policy)


def test_without_a_file_there_is_nothing_to_tell() -> None:
    probe(Policy(IMAGE))
