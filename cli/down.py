"""`pileus down`: stop a cloud.  What its guests do is theirs: they go on, unless they are to go with it."""

from __future__ import annotations

from pathlib import Path

import click

from cli.places import data_option


@click.command("down")
@data_option
@click.option("--purge", is_flag=True, help="Remove its guests, their disks and the whole data directory as well.")
@click.option("--yes", is_flag=True, help="Do not ask before purging.")
def command(data: Path, purge: bool, yes: bool) -> None:
    """Stop a cloud.  Its guests go on running, and are there again after the next 'pileus up'."""
    from cli import take_down
    from cli.places import Places

    places = Places.existing(data)
    if purge and not yes:
        click.confirm(f"Remove all guests, images and databases of the cloud in {places.data}?", abort=True)
    take_down.stop_all(places)
    if purge:
        take_down.purge(places)
    else:
        click.echo(f"Its guests go on running. To remove them and all files: pileus down --data {places.data} --purge")
