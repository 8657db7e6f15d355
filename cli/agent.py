"""`pileus agent`: the part that runs on every host and turns requests into guests."""

from __future__ import annotations

from pathlib import Path

import click

from cli.serve import config_option, run_parts


@click.command("agent")
@config_option
def command(config: Path) -> None:
    """Run this host's agent until it is told to stop (SIGTERM); its guests go on running."""
    run_parts(("agent",), config)
