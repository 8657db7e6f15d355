"""`pileus demo`: boot one server, tell each step as it happens, and show its console."""

from __future__ import annotations

from pathlib import Path

import click

from cli.places import data_option


@click.command("demo")
@data_option
@click.option("--name", default="demo", show_default=True, help="Name of the server.")
@click.option("--delete", is_flag=True, help="Remove the server at the end.")
def command(data: Path, name: str, delete: bool) -> None:
    """Create a server as an ordinary user, watch it come up, and show its console until the login prompt."""
    from cli import first_server
    from cli.places import Places

    first_server.show(Places.existing(data), name=name, delete=delete)
