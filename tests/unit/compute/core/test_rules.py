"""Names, patterns, states, keys and extra specs: plain rules."""

from __future__ import annotations

import time
from uuid import UUID

import pytest

from common.errors import Conflict, InvalidInput
from services.compute.core.extra_specs import must_be_valid
from services.compute.core.keypairs import fingerprint_of, generate_ssh
from services.compute.core.names import hostname_of, is_name, numbered
from services.compute.core.patterns import Pattern, pattern_of
from services.compute.core.states import Action, StatusMatch, VmState, admit, matches, status_of

ID = UUID("a0e4475e-22fb-4d30-add2-bbb808cf797a")


@pytest.mark.parametrize(
    ("name", "hostname"),
    [
        ("web-1", "web-1"),
        ("Web Server_1.example", "web-server-1-example"),
        ("--x--", "x"),
        ("naïve", "naive"),
        ("雲", f"Server-{ID}"),
        ("x" * 100, "x" * 63),
        ("a" * 62 + "-b", "a" * 62),
    ],
)
def test_a_host_name_comes_from_the_name(name: str, hostname: str) -> None:
    assert hostname_of(name, ID) == hostname


@pytest.mark.parametrize(("name", "good"), [("a b", True), ("🐧", True), (" a", False), ("a\n", False), ("", False)])
def test_a_name_is_printable_and_not_blank_at_its_ends(name: str, good: bool) -> None:
    assert is_name(name) is good


def test_one_server_keeps_its_name_and_several_are_numbered() -> None:
    assert numbered("x", 1) == ["x"]
    assert numbered("x", 3) == ["x-1", "x-2", "x-3"]


@pytest.mark.parametrize(
    ("given", "sql"),
    [
        ("web", "%web%"),
        ("^web$", "web"),
        ("^w.b.*", "w_b%%"),
        ("50%_", "%50\\%\\_%"),
        ("a\\.b", "%a.b%"),
        ("a\\$", "%a$%"),
    ],
)
def test_a_simple_name_filter_becomes_what_databases_find_fast(given: str, sql: str) -> None:
    assert pattern_of(given, "name") == Pattern(sql, is_regular=False)


@pytest.mark.parametrize("given", ["(x|y)+", "a{2}", "[0-9]", "a$b", ".*" * 6, "\\d"])
def test_other_name_filters_stay_regular_expressions(given: str) -> None:
    assert pattern_of(given, "name").is_regular


@pytest.mark.parametrize("given", ["a" * 256, "a\0", "(", "*", "(?=a)", "(a)\\1"])
def test_a_name_filter_that_is_none_is_refused_in_novas_words(given: str) -> None:
    with pytest.raises(InvalidInput, match="is not a 'regex'"):
        pattern_of(given, "name")


def test_a_refusal_says_what_stands_in_the_way() -> None:
    with pytest.raises(Conflict) as refused:
        admit(Action.START, ID, "active", None)

    assert refused.value.message == f"Cannot 'start' instance {ID} while it is in vm_state active"


def test_a_hard_reboot_need_not_wait_for_a_soft_one() -> None:
    assert admit(Action.REBOOT_HARD, ID, "active", "rebooting").task == "rebooting_hard"
    with pytest.raises(Conflict):
        admit(Action.REBOOT, ID, "active", "rebooting")


@pytest.mark.parametrize(
    ("state", "task", "status"),
    [
        ("building", "spawning", "BUILD"),
        ("active", None, "ACTIVE"),
        ("active", "rebooting", "REBOOT"),
        ("stopped", "rebooting_hard", "HARD_REBOOT"),
        ("stopped", "powering-on", "SHUTOFF"),
        ("unheard-of", None, "UNKNOWN"),
    ],
)
def test_state_and_task_make_one_status(state: str, task: str | None, status: str) -> None:
    assert status_of(state, task) == status


def test_a_status_is_found_by_its_states_and_tasks() -> None:
    assert matches(["reboot"]) == [StatusMatch(VmState.ACTIVE, frozenset({"rebooting"}), others=False)]
    [active] = matches(["ACTIVE"])
    assert (active.state, active.others) == (VmState.ACTIVE, True)
    assert {"rebooting", "rebooting_hard", "rebuilding"} <= active.tasks
    assert matches(["nonsense"]) == []


def test_a_generated_key_has_the_fingerprint_of_its_public_half() -> None:
    made = generate_ssh("me", bits=2048)

    assert fingerprint_of(made.public, "ssh") == made.fingerprint
    assert len(made.fingerprint.split(":")) == 16
    assert made.private not in repr(made)


@pytest.mark.parametrize("kind", ["ssh", "x509"])
def test_what_is_no_key_is_refused(kind: str) -> None:
    with pytest.raises(InvalidInput):
        fingerprint_of("-----BEGIN NONSENSE-----", kind)


@pytest.mark.parametrize("name", ["hw:cpu_realtime_mask", "hw:numa_cpus.0", "pci_passthrough:alias", "hw:pmem"])
def test_no_extra_spec_takes_long_to_check(name: str) -> None:
    began = time.thread_time()

    with pytest.raises(InvalidInput):
        must_be_valid(name, "1" * 120 + "," * 20 + "1" * 100 + "!")

    assert time.thread_time() - began < 0.5
