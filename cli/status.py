"""`pileus status`: how a cloud is, on one screen."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cli.places import data_option


@click.command("status")
@data_option
def command(data: Path) -> None:
    """Show processes, services, hosts, servers, images and memory.  Exit status 0 when all is well."""
    from cli import overview
    from cli.places import Places

    sys.exit(0 if overview.show(Places.existing(data)) else 1)
