"""Builds the image service from its settings."""

from __future__ import annotations

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from fastapi import FastAPI

from common.auth.policy_file import policy_of, probe
from common.auth.tokens import TokenVerifier
from common.db.database import Database
from common.db.migrate import upgrade
from common.http.app import Service, create_app
from common.http.audit import Audit
from common.http.door import Limits
from common.periodic import Periodic
from common.process import Part, Surroundings
from common.saga.engine import Pace, SagaEngine
from services.identity.client import verifier_for
from services.image.api import image_data
from services.image.api.faults import ImageFaults
from services.image.api.kit import Kit
from services.image.api.policy import RULES
from services.image.api.receiving import sweep
from services.image.api.routes import ROUTERS
from services.image.contract import ImageActivity
from services.image.db.metadata_definitions import Definitions
from services.image.db.tables import SAGAS as SAGA_TABLES
from services.image.db.tables import ImageTable
from services.image.drivers.inspect.inspector import Inspector
from services.image.drivers.store.stores import Stores
from services.image.drivers.web.downloads import WebDownloads
from services.image.sagas import kit as work
from services.image.sagas.import_image import SAGAS
from services.image.settings import ImageSettings


def build(surroundings: Surroundings) -> Part:
    """The API, the engine of its imports, and the periodic search for bytes that belong to no image."""
    settings = ImageSettings.read(surroundings.settings_file)
    inspector = Inspector(idle_s=settings.inspector_idle_s)
    kit = build_kit(settings, surroundings, inspector)
    verifier, keys = verifier_for(surroundings)
    engine = build_engine(kit)
    kit = replace(kit, nudge=engine.nudge)
    alone = surroundings.platform.bus_url.startswith("memory:")  # then no other process works on this database
    sweeping = Periodic("image-sweep", lambda: sweep(kit), every_s=settings.sweep_every_s)
    return Part(
        name="image",
        app=build_app(kit, verifier, public_url=surroundings.platform.public_url),
        listen=settings.listen,
        starts=(keys.start, sweeping.start, lambda: engine.start(alone=alone)),
        stops=(engine.stop, sweeping.stop, keys.stop, kit.threads.shutdown, inspector.close, kit.database.close),
    )


def prepare(surroundings: Surroundings) -> None:
    """Bring the database to the newest schema; `build` does it, too, but then Alembic stays in the service's memory."""
    database = _database(ImageSettings.read(surroundings.settings_file))
    database.close()


def build_kit(settings: ImageSettings, surroundings: Surroundings, inspector: Inspector) -> Kit:
    """Database migrated, store made."""
    return Kit(
        settings=settings,
        public_url=f"{surroundings.platform.public_url}/image",
        database=_database(settings),
        stores=Stores("file", {"file": settings.store, **settings.more_stores}),
        inspector=inspector,
        policy=policy_of(surroundings.platform.policy_file, "image", RULES),
        bus=surroundings.bus,
        threads=ThreadPoolExecutor(settings.upload_threads, thread_name_prefix="image-bytes"),
    )


def build_engine(kit: Kit) -> SagaEngine:
    """Does the imports; several processes share them."""
    settings = kit.settings
    downloads = WebDownloads(
        rules=settings.web_rules(), most_bytes=settings.max_image_bytes, most_s=settings.web_download_s
    )
    tools = work.Kit(
        settings=settings,
        database=kit.database,
        stores=kit.stores,
        inspector=kit.inspector,
        downloads=downloads,
        bus=kit.bus,
    )
    worker, pace = f"{socket.gethostname()}:{os.getpid()}", Pace(threads=settings.import_threads, poll_s=5)
    return SagaEngine(kit.database, SAGA_TABLES, SAGAS, tools, worker=worker, pace=pace)


def _database(settings: ImageSettings) -> Database:
    database = Database(settings.database_url)
    upgrade(database, "services.image.db", ImageTable.metadata)
    with database.transaction() as session:
        Definitions(session).furnish()
    return database


def build_app(kit: Kit, verifier: TokenVerifier, *, public_url: str) -> FastAPI:
    """The application alone, over parts that are there already."""
    return create_app(
        Service(
            name="image",
            routers=ROUTERS,
            faults=ImageFaults(f"{public_url}/identity"),
            state={"kit": kit, "verifier": verifier},
            probes={"database": kit.database.ping, "store": kit.stores.probe},
            audit=Audit("image", kit.bus, ImageActivity),
            remarks={"policy": lambda: probe(kit.policy)},
            limits=Limits(streamed=image_data.carries_bytes),
        )
    )
