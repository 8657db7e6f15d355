"""`pileus keys`: the keys that tokens are signed with."""

from __future__ import annotations

from pathlib import Path

import click

from cli.places import data_option


@click.command("keys")
@click.argument("what", type=click.Choice(["list", "rotate"]))
@data_option
@click.option(
    "--config", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Settings file; else that of --data."
)
def command(what: str, data: Path, config: Path | None) -> None:
    """Show the keys, or sign with a new one from now on.

    Tokens of former keys stay good until they end, so nobody notices; identity replaces a key by itself when it gets old.
    """
    from cli.places import Places
    from services.identity.main import signing_keys

    with signing_keys(config or Places.existing(data).settings) as keyring:
        if what == "rotate":
            click.echo(f"Tokens are signed with key {keyring.rotate()} from now on.")
            return
        for key_id, since, until in keyring.lives():
            ends = f"until {until:%Y-%m-%d %H:%M}" if until else "in use"
            click.echo(f"{key_id}  since {since:%Y-%m-%d %H:%M}  {ends}")
