"""`pileus bootstrap`: what a cloud needs before anybody can log in.  'pileus up' does it by itself."""

from __future__ import annotations

from pathlib import Path

import click

from cli.serve import config_option


@click.command("bootstrap")
@config_option
def command(config: Path) -> None:
    """Create the first users, projects, roles and the catalog, with the passwords of the settings file.

    Done again it takes over passwords and addresses that changed.
    """
    from cli import first_users, parts

    surroundings = parts.surroundings_of(config)
    try:
        first_users.ensure(surroundings)
        first_users.schemas(surroundings)
    finally:
        surroundings.bus.close()
    click.echo(f"Users, projects and catalog of {surroundings.platform.public_url} are in place.")
