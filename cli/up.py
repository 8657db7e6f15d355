"""`pileus up`: a whole cloud in one process, from nothing to ready."""

from __future__ import annotations

from pathlib import Path

import click

from cli.places import data_option


@click.command("up")
@data_option
@click.option("--listen", metavar="HOST:PORT", help="Address of the cloud; 127.0.0.1:8470 unless it was set before.")
@click.option("--public-url", metavar="URL", help="How clients reach that address, if not as http://HOST:PORT.")
@click.option("--detach", is_flag=True, help="Return when the cloud answers; it goes on in the background.")
@click.option("--only-run", is_flag=True, hidden=True, help="Run what was prepared before: the background process.")
def command(data: Path, listen: str | None, public_url: str | None, detach: bool, only_run: bool) -> None:
    """Start a cloud: every service in one process, SQLite files, guests by way of libvirt.

    Done again it starts the same cloud; nothing is made twice.
    """
    from cli import bring_up
    from cli.places import Places

    places = Places.at(data)
    if only_run:
        from cli import embedded

        embedded.run(places)
    elif detach:
        bring_up.in_background(places, listen=listen, public_url=public_url)
    else:
        bring_up.in_foreground(places, listen=listen, public_url=public_url)
