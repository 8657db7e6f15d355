"""What people see while bytes move: a bar that grows on a terminal, one line in a log file."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

from tests.conftest import ROOT

PROGRAM = """
from cli.progress import bytes_bar
with bytes_bar("disk.raw to the image service", 4 << 20) as progress:
    for piece in range(4):
        progress(1 << 20)
"""


def drawn() -> str:
    """All that the program writes to a real terminal."""
    ours, its = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=its, stdin=its, env=environment, cwd=ROOT)
    os.close(its)
    told = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # so the kernel says that nobody writes any more
            piece = b""
        if not piece:
            break
        told += piece
    os.close(ours)
    assert process.wait(timeout=60) == 0
    return told.decode()


def test_a_terminal_shows_a_bar_how_much_of_how_much_and_how_fast() -> None:
    told = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn())

    assert "disk.raw to the image service" in told
    assert "━" * 10 in told
    assert "4.2/4.2 MB" in told
    assert re.search(r"✓ disk\.raw to the image service \d+\.\d s", told)


def test_the_bar_is_drawn_in_place_and_taken_away_at_the_end() -> None:
    told = drawn()

    last = told.rindex("✓")
    assert "\x1b[2K" in told[:last]  # the line is cleared
    assert "━" not in told[last:]


def test_a_log_file_gets_one_plain_line() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, cwd=ROOT, check=True)

    [line] = done.stdout.splitlines()
    assert re.fullmatch(r"✓ disk\.raw to the image service \d+\.\d s", line)
