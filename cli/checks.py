"""What `pileus doctor` looks at: one function a check, from the ground up."""

from __future__ import annotations

import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, text
from sqlalchemy.exc import DatabaseError

from cli import distributed_processes, libvirt_daemons
from cli.bring_up import url_of
from cli.cloud_client import CloudClient, failing, log_in_as
from cli.examination import Finding, Patient
from cli.overview import processes
from cli.settings_file import CloudSettings
from common.auth import policy_file
from common.bus.amqp import AmqpBus
from common.clock import utc_now
from common.db.database import Database
from common.db.migrate import alembic_config
from common.saga.store import Sagas
from common.settings import Section
from services.compute.db.tables import SAGAS
from services.compute.settings import AgentSettings, ComputeSettings
from services.identity.settings import IdentitySettings
from services.image.settings import ImageSettings

FREE_BYTES = 2 << 30
FREE_SHARE = 0.03
MOST_NAMED = 5  # sagas in one finding
DATABASES: dict[str, type[Any]] = {"identity": IdentitySettings, "image": ImageSettings, "compute": ComputeSettings}


@dataclass(frozen=True, slots=True)
class Check:
    """`fix` is for whatever goes wrong in it; a finding may know better."""

    name: str
    look: Callable[[Patient], Finding]
    fix: str


def settings(patient: Patient) -> Finding:
    """The file is complete, and nobody else can read the passwords in it."""
    sections: tuple[type[Section], ...] = (*DATABASES.values(), AgentSettings)
    for section in sections:
        section.read(patient.settings)
    _ = patient.platform
    if patient.settings.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return Finding(f"others may read {patient.settings}", False, f"chmod 600 {patient.settings}")
    return Finding(str(patient.settings))


def policy(patient: Patient) -> Finding:
    """Every service can work with the operator's policy file."""
    if (file := patient.platform.policy_file) is None:
        return Finding("as built in: there is no policy file")
    for service, rules in _rules_of_services().items():
        policy_file.read(file, service, rules)
    return Finding(str(file))


def _rules_of_services() -> dict[str, dict[str, str]]:
    from services.compute.api.placement.policy import RULES as PLACEMENT
    from services.compute.api.policy import RULES as COMPUTE
    from services.identity.api import RULES as IDENTITY
    from services.image.api.policy import RULES as IMAGE

    return {"identity": IDENTITY, "image": IMAGE, "compute": COMPUTE, "placement": PLACEMENT}


def running(patient: Patient) -> Finding:
    """Every process that should run does."""
    if patient.places is None:
        return Finding("not looked for: they may run on other machines")
    dead = [name for name, process in processes(patient.places).items() if process is None]
    if dead:
        return Finding(f"not running: {', '.join(dead)}", False)
    return Finding("all run")


def databases(patient: Patient) -> Finding:
    """Each answers, is sound, and has the newest schema."""
    for service, kind in DATABASES.items():
        database = Database(kind.read(patient.settings).database_url, pool_size=1)
        try:
            trouble = trouble_with(database, service)
        finally:
            database.close()
        if trouble is not None:
            return trouble
    return Finding("all answer and are up to date")


def trouble_with(database: Database, service: str) -> Finding | None:
    """What is wrong with one service's database; None when it answers, is sound and has the newest schema."""
    if database.is_sqlite and not Path(database.url.database or "").exists():
        return Finding(f"{service} has none yet: {database.url.database} is missing", False)
    if database.is_sqlite and (damage := _damage(database)):
        return Finding(
            f"{service}: {damage}", False, f"stop the cloud and restore {database.url.database} from a backup"
        )
    database.ping()
    with database.engine.connect() as connection:
        current = set(MigrationContext.configure(connection).get_current_heads())
    newest = set(ScriptDirectory.from_config(alembic_config(f"services.{service}.db", MetaData())).get_heads())
    if current != newest:
        return Finding(
            f"{service} has schema {current or 'none'}, the code wants {newest}", False, "restart the service"
        )
    return None


def _damage(database: Database) -> str:
    """What SQLite finds broken in its file; empty when it is sound."""
    try:
        with database.reading() as session:
            said = str(session.execute(text("PRAGMA quick_check(1)")).scalar())
    except DatabaseError as error:
        return str(error.orig)
    return "" if said == "ok" else said


def bus(patient: Patient) -> Finding:
    """The broker answers, and no message had to be set aside."""
    platform = patient.platform
    if platform.bus_url.startswith("memory:"):
        return Finding("within the process")
    broker = AmqpBus(platform)
    try:
        parked = broker.parked()
    finally:
        broker.close()
    if parked:
        return Finding(
            f"{parked} messages could not be handled and were set aside",
            False,
            "look at the queue of dead letters on the broker, then purge it; the log tells why each was refused",
        )
    return Finding("the broker answers; no dead letters")


def libvirt(patient: Patient) -> Finding:
    """libvirt's daemons accept connections, and libvirt answers."""
    agent = AgentSettings.read(patient.settings)
    if agent.driver != "libvirt":
        return Finding("not used: hosts are simulated")
    silent = [daemon.program for daemon in libvirt_daemons.DAEMONS if not daemon.answers()]
    if silent:
        return Finding(f"does not answer: {', '.join(silent)}", False)
    from services.compute.drivers.libvirt.connection import Connection

    connection = Connection(agent.libvirt_uri, call_timeout_s=10, on_open=lambda opened: None)
    try:
        version = connection.call(lambda opened: opened.getLibVersion())
    finally:
        connection.close()
    return Finding(f"{agent.libvirt_uri}, version {version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}")


def disk(patient: Patient) -> Finding:
    """There is room where the cloud keeps things."""
    said = []
    for folder in {_existing(one) for one in _folders(patient)}:
        usage = shutil.disk_usage(folder)
        if usage.free < FREE_BYTES or usage.free < usage.total * FREE_SHARE:
            return Finding(f"{folder} has only {usage.free >> 20} MiB left", False)
        said.append(f"{folder}: {usage.free >> 30} GiB free")
    return Finding("; ".join(sorted(said)))


def _folders(patient: Patient) -> Iterator[Path]:
    yield patient.settings.parent
    yield AgentSettings.read(patient.settings).storage
    yield ImageSettings.read(patient.settings).store


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def sagas(patient: Patient) -> Finding:
    """No accepted request is still open after its deadline."""
    database = Database(ComputeSettings.read(patient.settings).database_url, pool_size=1)
    try:
        with database.reading() as session:
            stuck = [f"{saga.kind} of {saga.resource_id}" for saga in Sagas(session, SAGAS).stuck(utc_now())]
    finally:
        database.close()
    if stuck:
        told = ", ".join(stuck[:MOST_NAMED]) + (", …" if stuck[MOST_NAMED:] else "")
        return Finding(f"{len(stuck)} accepted requests are past their deadline: {told}", False)
    return Finding("none is stuck")


def services(patient: Patient) -> Finding:
    """The cloud answers at its address, and every service says that it is ready."""
    sick = failing(address_of(patient))
    if sick:
        return Finding("; ".join(f"{name}: {why}" for name, why in sick.items()), False)
    return Finding(f"all ready at {patient.platform.public_url}")


def heartbeats(patient: Patient) -> Finding:
    """Every worker and host was heard of lately."""
    found = _log_in(patient).get("/compute/v2.1/os-services")["services"]
    down = [f"{one['binary']} on {one['host']}" for one in found if one["state"] != "up" and one["status"] == "enabled"]
    if down:
        return Finding(f"not heard of: {', '.join(down)}", False)
    if not any(one["binary"] == "nova-compute" for one in found):
        return Finding("no host has ever registered", False)
    return Finding(f"{len(found)} services and hosts are alive")


def acceleration(patient: Patient) -> Finding:
    """How guests run on each host: proved by running one, not believed."""
    hosts = _log_in(patient).get("/compute/v2.1/os-hypervisors/detail")["hypervisors"]
    kinds = {one["hypervisor_hostname"]: one["hypervisor_type"] for one in hosts}
    told = ", ".join(f"{host}: {kind}" for host, kind in sorted(kinds.items())[:10]) or "no host yet"
    if "QEMU" in kinds.values():
        told += " (QEMU means emulated: guests run, but slowly, for want of a /dev/kvm that works)"
    return Finding(told)


def address_of(patient: Patient) -> str:
    from api_gateway.settings import GatewaySettings

    if patient.places is None:
        return patient.platform.public_url
    gateway = GatewaySettings.read(patient.settings)
    url = url_of(gateway.listen)
    return url.replace("http://", "https://", 1) if gateway.tls_certificate else url


def _log_in(patient: Patient) -> CloudClient:
    password = CloudSettings.read(patient.settings).admin_password.get_secret_value()
    return log_in_as(patient.platform.public_url, user="admin", password=password, project="admin")


def brokers(patient: Patient) -> Finding:
    """The development broker and database of a distributed cloud on this machine."""
    if patient.places is None or CloudSettings.read(patient.settings).mode != "distributed":
        return Finding("not this command's: an embedded cloud needs none, others have their own")
    return Finding("; ".join(said for _, said in distributed_processes.services_running(patient.places)))


def name_of_host(patient: Patient) -> Finding:
    """This machine's name leads to an address: libvirt and clients ask for it."""
    name = socket.gethostname()
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        return Finding(f"'{name}' has no address", False, f"add a line for '{name}' to /etc/hosts")
    return Finding(name)


_AGAIN = "start the cloud again: pileus up --data {data} --detach (or: pileus distributed up --data {data})"
_LOG = "read the log: {data}/pileus.log, or {data}/log/ of a distributed cloud"

# fmt: off
CHECKS = (
    Check("settings",     settings,     "correct the file; every option is described in deploy/config/pileus.toml"),
    Check("policy",       policy,       "correct the file; until then the rules that were good stay in force"),
    Check("host name",    name_of_host, "add this machine's name to /etc/hosts"),
    Check("disk space",   disk,         "delete images or servers that nobody needs, or move {data} to a larger disk"),
    Check("backing",      brokers,      _AGAIN),
    Check("databases",    databases,    _AGAIN),
    Check("bus",          bus,          "see that RabbitMQ runs and that [platform] bus_url is right"),
    Check("libvirt",      libvirt,      "start it: virtlogd -d; libvirtd -d (or: systemctl start virtlogd libvirtd)"),
    Check("processes",    running,      _AGAIN),
    Check("services",     services,     _AGAIN + "; if it runs, " + _LOG),
    Check("heartbeats",   heartbeats,   "see that its process runs and reaches the bus; " + _LOG),
    Check("acceleration", acceleration, _AGAIN),
    Check("sagas",        sagas,        "see that a compute worker runs; it ends them by itself. Else " + _LOG),
)
# fmt: on
