"""Builds the compute service's parts from its settings: its two APIs (`build_api`, `build_placement`), the consoles' way to
browsers (`build_console`) and the worker.

Each part imports its own rooms: a process of its own pays for no other.
"""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from functools import lru_cache
from urllib.parse import urlsplit

from common.auth.policy_file import policy_of
from common.clock import utc_now
from common.db import migrate
from common.db.database import Database
from common.periodic import Periodic
from common.process import Part, Surroundings
from common.saga.engine import Pace, SagaEngine
from services.compute.contract import WORKER_QUEUE
from services.compute.core.placement import Ratios
from services.compute.db.placement_tables import ProviderRow
from services.compute.db.tables import SAGAS as SAGA_TABLES
from services.compute.drivers.vendor_data import VendorSource
from services.compute.sagas import SAGAS
from services.compute.sagas.kit import Kit, Rules
from services.compute.settings import ComputeSettings
from services.identity.client import IdentityClient, ServiceToken, verifier_for
from services.image.client import ImageClient

BEAT_S, TIDY_S = 5.0, 60.0
ANSWER_THREADS = 8


@lru_cache
def database_of(url: str) -> Database:
    """The service's database with the newest schema; one per process, so that its parts take turns in writing."""
    database = Database(url)
    migrate.upgrade(database, "services.compute.db", ProviderRow.metadata)
    return database


def prepare(surroundings: Surroundings) -> None:
    """Bring the database to the newest schema; the parts do it, too, but then Alembic stays in their memory."""
    database_of(ComputeSettings.read(surroundings.settings_file).database_url)


def build_api(surroundings: Surroundings) -> Part:
    """Answers Compute's API: writes what is asked for, and leaves the work to the worker."""
    from services.compute.api import kit as api
    from services.compute.api.app import compute_app
    from services.compute.api.policy import RULES

    settings = ComputeSettings.read(surroundings.settings_file)
    database = database_of(settings.database_url)
    verifier, refresher = verifier_for(surroundings)
    own = IdentityClient(surroundings)
    voucher = ServiceToken(
        own, username=settings.service_username, password=settings.service_password.get_secret_value()
    )
    images, projects = ImageClient.near(surroundings, voucher=voucher), IdentityClient(surroundings, voucher=voucher)
    public_url = surroundings.platform.public_url.rstrip("/")
    kit = api.Kit(
        settings=settings,
        url=f"{public_url}/compute",
        image_url=f"{public_url}/image",
        console_url=f"{public_url}/console",
        database=database,
        bus=surroundings.bus,
        images=images,
        projects=projects,
        policy=policy_of(surroundings.platform.policy_file, "compute", RULES),
    )
    return Part(
        name="compute-api",
        app=compute_app(kit, verifier, identity_url=f"{public_url}/identity"),
        listen=settings.listen,
        starts=(refresher.start,),
        stops=(refresher.stop, images.close, projects.close, own.close),
    )


def build_placement(surroundings: Surroundings) -> Part:
    """Answers the Placement API, over the tables that the scheduler works on."""
    from services.compute.api.placement import kit as placement
    from services.compute.api.placement.app import placement_app
    from services.compute.api.placement.policy import RULES as PLACEMENT_RULES

    settings = ComputeSettings.read(surroundings.settings_file)
    verifier, refresher = verifier_for(surroundings)
    public_url = surroundings.platform.public_url.rstrip("/")
    kit = placement.Kit(
        database=database_of(settings.database_url),
        policy=policy_of(surroundings.platform.policy_file, "placement", PLACEMENT_RULES),
        url=f"{public_url}/placement",
        prefix=f"{urlsplit(public_url).path}/placement",
    )
    return Part(
        name="placement-api",
        app=placement_app(kit, surroundings.bus, verifier, identity_url=f"{public_url}/identity"),
        listen=settings.placement_listen,
        starts=(refresher.start,),
        stops=(refresher.stop,),
    )


def build_console(surroundings: Surroundings) -> Part:
    """The consoles' pages, and the way from a browser to a guest."""
    from services.compute.console.app import console_app
    from services.compute.console.kit import ConsoleKit, origin_of

    settings = ComputeSettings.read(surroundings.settings_file)
    verifier, refresher = verifier_for(surroundings)
    public = origin_of(surroundings.platform.public_url)
    kit = ConsoleKit(
        database=database_of(settings.database_url),
        bus=surroundings.bus,
        verifier=verifier,
        origins=frozenset((public, *map(origin_of, settings.console_origins))),
        viewers=settings.console_viewers,
    )
    return Part(
        name="compute-console",
        app=console_app(kit),
        listen=settings.console_listen,
        takes_sockets=True,
        starts=(refresher.start,),
        stops=(refresher.stop,),
    )


def build_worker(surroundings: Surroundings) -> Part:
    """Runs sagas, answers hosts, keeps house."""
    from services.compute.worker.answers import Worker, handlers
    from services.compute.worker.housekeeping import Hearing, Housekeeping

    settings = ComputeSettings.read(surroundings.settings_file)
    hearing = Hearing(since=utc_now())
    own = IdentityClient(surroundings)
    token = ServiceToken(own, username=settings.service_username, password=settings.service_password.get_secret_value())
    images = ImageClient.near(surroundings, token=token)
    kit = Kit(
        database_of(settings.database_url),
        surroundings.bus,
        rules_of(settings),
        images=images,
        vendor=vendor_of(settings),
        hears_since=lambda: hearing.since,
    )
    name = f"{socket.gethostname()}:{os.getpid()}"
    history, usage = timedelta(days=settings.keep_history_days), timedelta(days=settings.keep_usage_days)
    housekeeping = Housekeeping(kit, hearing, history, usage)
    pace, unread = Pace(threads=settings.worker_threads), housekeeping.give_up
    engine = SagaEngine(kit.database, SAGA_TABLES, SAGAS, kit, worker=name, pace=pace, unread=unread)
    worker = Worker(kit, engine, ratios_of(settings), settings.default_zone)
    beat = Periodic("compute heartbeat", housekeeping.beat, every_s=BEAT_S)
    tidy = Periodic("compute housekeeping", housekeeping.tidy, every_s=TIDY_S)
    alone = surroundings.platform.bus_url.startswith("memory:")  # then no other process works on this database
    return Part(
        name="compute-worker",
        starts=(
            lambda: surroundings.bus.serve(WORKER_QUEUE, handlers.bound(worker), threads=ANSWER_THREADS),
            beat.start,
            tidy.start,
            lambda: engine.start(alone=alone),
        ),
        stops=(tidy.stop, beat.stop, engine.stop, images.close, own.close),
    )


def vendor_of(settings: ComputeSettings) -> VendorSource:
    return VendorSource(
        settings.vendor_data_file,
        settings.vendor_data_targets,
        timeout_s=settings.vendor_data_timeout_s,
        is_required=settings.vendor_data_required,
    )


def rules_of(settings: ComputeSettings) -> Rules:
    return Rules(
        host_down_s=settings.service_down_s,
        grace_s=settings.grace_s,
        config_drive_always=settings.config_drive_always,
        stop_patience_s=settings.stop_patience_s,
        resize_confirm_window_s=settings.resize_confirm_window_s,
        shelved_offload_s=settings.shelved_offload_time_s,
        weights=settings.weights(),
        reclaim_after_s=settings.reclaim_instance_interval_s,
        ephemeral_format=settings.default_ephemeral_format,
    )


def ratios_of(settings: ComputeSettings) -> Ratios:
    return Ratios(
        cpu=settings.cpu_allocation_ratio,
        memory=settings.memory_allocation_ratio,
        disk=settings.disk_allocation_ratio,
    )
