"""Tells a person what is being done and how far it is, on a terminal as well as in a log file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

console = Console(highlight=False, soft_wrap=True)


@contextmanager
def step(what: str) -> Iterator[Callable[[str], None]]:
    """A line that says what is under way, and then that it is done; the block may say more of where it stands."""
    started = time.monotonic()
    with console.status(f"{what} …") as status:
        try:
            yield lambda more: status.update(f"{what} … [dim]{escape(more)}[/dim]")
        except BaseException:
            console.print(f"[red]✗[/red] {what}")
            raise
    console.print(f"[green]✓[/green] {what} [dim]{time.monotonic() - started:.1f} s[/dim]")


@contextmanager
def bytes_bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """The same for something that is counted in bytes: a bar, and the block tells of each piece."""
    started = time.monotonic()
    columns = (TextColumn("  {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task(what, total=total)
            yield lambda count: progress.advance(task, count)
    except BaseException:
        console.print(f"[red]✗[/red] {what}")
        raise
    console.print(f"[green]✓[/green] {what} [dim]{time.monotonic() - started:.1f} s[/dim]")


def say(text: str) -> None:
    console.print(text)


def note(text: str) -> None:
    console.print(f"[yellow]![/yellow] {text}")
