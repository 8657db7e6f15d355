"""`pileus distributed`: broker, database and every part as a process of its own, all on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from cli.places import data_option


@click.group("distributed")
def command() -> None:
    """Run RabbitMQ, PostgreSQL and every part as a process of its own, for development and CI.

    On real hosts use deploy/systemd instead.  'pileus down' stops this one, too.
    """


@command.command("up")
@data_option
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port of the gateway on 127.0.0.1; 8470 unless it was set before."
)
@click.option(
    "--simulated", type=click.IntRange(0), default=1, show_default=True, help="Simulated hosts besides this one."
)
@click.option("--supervise", is_flag=True, help="Start a process again when it dies.")
@click.option("--queue-type", type=click.Choice(["classic", "quorum"]), default="classic", show_default=True)
def up(data: Path, port: int | None, simulated: int, supervise: bool, queue_type: str) -> None:
    """Start the cloud, and return when it answers."""
    from cli import spread_out
    from cli.places import Places

    listen = f"127.0.0.1:{port}" if port else None
    options = spread_out.Options(simulated=simulated, supervise=supervise, queue_type=queue_type)
    spread_out.start(Places.at(data), listen=listen, options=options)


@command.command("stop")
@data_option
def stop(data: Path) -> None:
    """Stop all its processes; guests go on running."""
    from cli import distributed_processes
    from cli.places import Places

    distributed_processes.stop_all(Places.existing(data))


@command.command("supervise", hidden=True)
@data_option
def supervise(data: Path) -> None:
    """Keep the planned processes running, until told to stop."""
    from cli import supervisor
    from cli.places import Places

    supervisor.run(Places.existing(data))
