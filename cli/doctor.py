"""`pileus doctor`: what is wrong with a cloud, and what to do about it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cli.places import data_option


@click.command("doctor")
@data_option
@click.option(
    "--config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Settings file of a cloud whose processes run elsewhere, instead of a data directory.",
)
def command(data: Path, config: Path | None) -> None:
    """Examine a cloud, running or not.  Exit status 0 only when all is well."""
    from cli import examination
    from cli.places import Places

    patient = examination.Patient.of_file(config) if config else examination.Patient.at(Places.existing(data))
    sys.exit(0 if examination.show(patient) else 1)
