"""`make sizes`: the ten longest files and functions.  Read them before adding to them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("common", "services", "cli")
SHOWN = 10


def files() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from (ROOT / folder).rglob("*.py")


def functions(file: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            yield length, f"{file.relative_to(ROOT)}:{node.lineno} {node.name}"


def main() -> None:
    lengths = [(len(file.read_text().splitlines()), str(file.relative_to(ROOT))) for file in files()]
    longest = sorted((one for file in files() for one in functions(file)), reverse=True)
    for title, rows in (("files", sorted(lengths, reverse=True)), ("functions", longest)):
        sys.stdout.write(f"The longest {title}\n")
        sys.stdout.writelines(f"  {length:5} {what}\n" for length, what in rows[:SHOWN])


if __name__ == "__main__":
    main()
