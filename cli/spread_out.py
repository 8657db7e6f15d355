"""Takes a distributed cloud from nothing to ready: broker, database, settings, processes, its first contents."""

from __future__ import annotations

from dataclasses import dataclass

from cli import bring_up, clouds_file, first_users, guest_storage, libvirt_daemons, parts, settings_file
from cli.cloud_client import is_ready
from cli.distributed_processes import (
    SERVICES,
    SUPERVISOR,
    Process,
    all_of,
    backing,
    pid_file,
    plan,
    planned,
    write_plan,
)
from cli.distributed_processes import (
    start as start_process,
)
from cli.places import Places
from cli.ports import free_ports
from cli.progress import step
from cli.running import remembered, turn, wait_until
from cli.settings_file import DEFAULT_LISTEN, CloudSettings
from common.errors import InvalidInput, Unavailable
from common.settings import PlatformSettings

START_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    simulated: int
    supervise: bool
    queue_type: str


def start(places: Places, *, listen: str | None, options: Options) -> None:
    """Return when the cloud is ready.  What runs already is left alone."""
    _refuse_embedded(places)
    places.make()
    with turn(places.lock):
        with step("Start RabbitMQ and PostgreSQL"):
            for service in SERVICES:
                backing(service, "start", places, str(_port_of(places, service)))
        _settings(places, listen, options)
        with step("Start libvirt, if it does not run"):
            libvirt_daemons.ensure()
        image = bring_up.built_image()
        with step("Users, projects and catalog"):
            _first_users(places)
        with step("Start the processes"):
            _processes(places, options)
            _wait(places)
    bring_up.finish(places, image, simulated=options.simulated)
    bring_up.explain(places)


def _refuse_embedded(places: Places) -> None:
    """Before anything is started, and before the lock, which such a cloud holds while it runs.  InvalidInput"""
    if places.settings.exists() and CloudSettings.read(places.settings).mode != "distributed":
        raise InvalidInput(
            f"The cloud in {places.data} is an embedded one. Start it with: pileus up --data {places.data}"
        )


def _settings(places: Places, listen: str | None, options: Options) -> None:
    if not places.settings.exists():
        _new_settings(places, listen or DEFAULT_LISTEN)
    elif listen:
        settings_file.change(
            places, {"gateway": {"listen": listen}, "platform": {"public_url": bring_up.url_of(listen)}}
        )
    settings_file.change(places, {"platform": {"bus_queue_type": options.queue_type}})
    clouds_file.write(places, PlatformSettings.read(places.settings), CloudSettings.read(places.settings))


def _new_settings(places: Places, listen: str) -> None:
    cloud_id = settings_file.new_cloud_id()
    ports = dict(zip(("identity", "image", "compute", "placement", "console"), free_ports(5), strict=True))
    sections = settings_file.distributed(
        places,
        cloud_id=cloud_id,
        listen=listen,
        public_url=bring_up.url_of(listen),
        storage=guest_storage.choose(places, cloud_id),
        bus_url=_url(places, "rabbitmq"),
        database_url=_url(places, "postgresql"),
        ports=ports,
    )
    settings_file.write(places, sections)


def _first_users(places: Places) -> None:
    surroundings = parts.surroundings_of(places.settings)
    try:
        first_users.ensure(surroundings)
        first_users.schemas(surroundings)
    finally:
        surroundings.bus.close()


def _processes(places: Places, options: Options) -> None:
    if not any(process for name, process in _known(places).items()):
        write_plan(places, planned(places, simulated=options.simulated))
    if options.supervise:
        if remembered(pid_file(places, SUPERVISOR)) is None:
            start_process(places, Process(SUPERVISOR, ("distributed", "supervise", "--data", str(places.data))))
        return
    for process in plan(places):
        if remembered(pid_file(places, process.name)) is None:
            start_process(places, process)


def _known(places: Places) -> dict[str, object]:
    return dict(all_of(places)) if (places.run / "plan.json").exists() else {}


def _wait(places: Places) -> None:
    url = bring_up.local_url(places)
    if wait_until(lambda: is_ready(url), START_S, every_s=0.2):
        return
    dead = [name for name, process in all_of(places).items() if process is None]
    name = dead[0] if dead else "gateway"
    said = bring_up.last_lines(places.logs / f"{name}.log")
    raise Unavailable(f"The cloud was not ready within {START_S} s. The end of {places.logs / name}.log:\n{said}")


def _url(places: Places, service: str) -> str:
    return (places.data / service / "url").read_text().strip()


def _port_of(places: Places, service: str) -> int:
    """The port that the service had before, or one that is free now."""
    written = places.data / service / "port"
    return int(written.read_text()) if written.exists() else free_ports(1)[0]
