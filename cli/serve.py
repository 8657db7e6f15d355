"""`pileus serve`: some parts of the platform as one process, next to others elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

NAMES = ("identity", "image", "compute-api", "placement-api", "compute-console", "compute-worker", "gateway")

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=Path("/etc/pileus/pileus.toml"),
    show_default=True,
    help="Settings file, the same for all processes of a cloud.",
)


@click.command("serve")
@click.argument("parts", metavar="SERVICE...", nargs=-1, required=True, type=click.Choice(NAMES))
@config_option
def command(parts: tuple[str, ...], config: Path) -> None:
    """Run the named services in this process until it is told to stop (SIGTERM).

    SERVICE is one or more of identity, image, compute-api, placement-api, compute-console, compute-worker and gateway.
    """
    run_parts(tuple(dict.fromkeys(parts)), config)


def run_parts(names: tuple[str, ...], config: Path) -> None:
    """Build the parts from the settings file, and run them to the end."""
    from cli import parts, servers
    from common import log

    surroundings = parts.surroundings_of(config)
    platform = surroundings.platform
    log.start(level=platform.log_level, form=platform.log_form, audit_log=platform.audit_log)
    servers.run([parts.build(name, surroundings) for name in names], surroundings)
    servers.leave()
