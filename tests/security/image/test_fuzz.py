"""I7: headers changed at random end in an answer, and the process that looks into them opens nothing else: strace saw it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from services.image.core.formats import Finding
from services.image.drivers.inspect.inspector import Inspector
from tests.security.image.crafted import (
    a_boot_sector,
    a_layout,
    a_qcow2,
    a_saved_container,
    a_sparse_vmdk,
    a_vdi,
    a_vhd,
    a_vhdx,
    an_iso,
    an_ova,
)

WATCHED = "open,openat,openat2,creat,socket,connect,execve,fork,vfork"
ROUNDS = 40

# fmt: off
SEEDS: dict[str, tuple[Callable[[], bytes], str | None, int]] = {
    # format      made by            container  bytes that are worth changing
    "qcow2":     (a_qcow2,           None,      600),
    "vmdk":      (a_sparse_vmdk,     None,      1200),
    "vdi":       (a_vdi,             None,      512),
    "vhd":       (a_vhd,             None,      512),
    "vhdx":      (a_vhdx,            None,      4 << 20),
    "iso":       (an_iso,            None,      34000),
    "gpt":       (a_boot_sector,     None,      520),
    "ova":       (an_ova,            "ova",     2048),
    "saved":     (a_saved_container, "docker",  4096),
    "layout":    (a_layout,          "docker",  8192),
}
# fmt: on


def mutated(seed: bytes, dice: random.Random, reach: int) -> bytes:
    """Some bytes, or a whole number, are others; sometimes the end is missing."""
    content = bytearray(seed)
    filled = [at for at in range(min(reach, len(content))) if content[at]] or [0]
    for _ in range(dice.randint(1, 16)):
        at = dice.choice(filled) if dice.random() < 0.7 else dice.randrange(min(reach, len(content)))
        new = dice.choice(
            [bytes([dice.randrange(256)]), b"\xff" * 4, b"\xff" * 8, bytes(4), b"\x7f" + b"\xff" * 7, b"/etc/passwd"]
        )
        content[at : at + len(new)] = new
    return bytes(content[: dice.choice([len(content), len(content), dice.randrange(1, reach)])])


@pytest.mark.parametrize("kind", SEEDS)
def test_i7_a_mutated_header_ends_in_an_answer_and_nothing_outside_is_opened(tmp_path: Path, kind: str) -> None:
    make, container, reach = SEEDS[kind]
    seed, dice, trace = make(), random.Random(f"fuzz {kind}"), tmp_path / "trace"
    inspector = Inspector(idle_s=10, within=("strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={WATCHED}"))
    image = tmp_path / "image"

    findings = []
    for _ in range(ROUNDS):
        image.write_bytes(mutated(seed, dice, reach))
        findings.append(inspector.inspect(image, container))
    inspector.close()

    assert all(isinstance(one, Finding) and (one.formats or one.problems) for one in findings)
    assert len(set(findings)) > 1, "the mutations reach nothing"
    opened = of_forks(trace.read_text())
    assert opened and set(opened) == {f'openat(AT_FDCWD, "{image}"'}
    assert len(opened) == ROUNDS


def of_forks(trace: str) -> list[str]:
    """What processes other than the first were given, up to the call's second argument."""
    lines = [line.split(maxsplit=1) for line in trace.splitlines()]
    first = lines[0][0]
    done = [call for pid, call in lines if pid != first and re.search(r"= \d+$", call)]
    return [re.sub(r", O_.*", "", call) for call in done]
