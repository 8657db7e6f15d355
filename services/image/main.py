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
from services.image.api.caching import tend
from services.image.api.faults import ImageFaults
from services.image.api.kit import Kit
from services.image.api.policy import RULES
from services.image.api.receiving import sweep
from services.image.api.routes import ROUTERS
from services.image.contract import ImageActivity
from services.image.db.metadata_definitions import Definitions
from services.image.db.tables import SAGAS as SAGA_TABLES
from services.image.db.tables import ImageTable
from services.image.drivers.certificates.signatures import Certificates
from services.image.drivers.convert.conversions import Converter
from services.image.drivers.inspect.inspector import Inspector
from services.image.drivers.store.cache import BytesCache
from services.image.drivers.store.files import FileStore
from services.image.drivers.store.store import Store
from services.image.drivers.store.stores import Stores
from services.image.drivers.web.downloads import WebDownloads
from services.image.sagas import kit as work
from services.image.sagas.import_image import SAGAS
from services.image.sagas.kit import Inspects
from services.image.settings import ImageSettings


def build(surroundings: Surroundings) -> Part:
    """The API, the engine of its imports, and the periodic search for bytes that belong to no image."""
    settings = ImageSettings.read(surroundings.settings_file)
    inspector = Inspector(idle_s=settings.inspector_idle_s)
    kit = build_kit(settings, surroundings, inspector)
    verifier, keys = verifier_for(surroundings)
    engine = build_engine(kit)
    caching = Periodic("image-cache", lambda: tend(kit), every_s=settings.sweep_every_s)
    kit = replace(kit, nudge=engine.nudge, cache_nudge=caching.nudge)
    alone = surroundings.platform.bus_url.startswith("memory:")  # then no other process works on this database
    sweeping = Periodic("image-sweep", lambda: sweep(kit), every_s=settings.sweep_every_s)
    return Part(
        name="image",
        app=build_app(kit, verifier, public_url=surroundings.platform.public_url),
        listen=settings.listen,
        starts=(keys.start, sweeping.start, caching.start, lambda: engine.start(alone=alone)),
        stops=(
            engine.stop,
            sweeping.stop,
            caching.stop,
            keys.stop,
            kit.threads.shutdown,
            kit.endings.shutdown,
            inspector.close,
            kit.database.close,
        ),
    )


def prepare(surroundings: Surroundings) -> None:
    """Bring the database to the newest schema; `build` does it, too, but then Alembic stays in the service's memory."""
    database = _database(ImageSettings.read(surroundings.settings_file))
    database.close()


def build_kit(settings: ImageSettings, surroundings: Surroundings, inspector: Inspects) -> Kit:
    """Database migrated, store made."""
    return Kit(
        settings=settings,
        public_url=f"{surroundings.platform.public_url}/image",
        database=_database(settings),
        stores=_stores(settings, surroundings.platform.cloud_id),
        inspector=inspector,
        certificates=Certificates(settings.certificates) if settings.verify_signatures else None,
        policy=policy_of(surroundings.platform.policy_file, "image", RULES),
        bus=surroundings.bus,
        cache=BytesCache(settings.store / "cached") if settings.cache_bytes else None,
        threads=ThreadPoolExecutor(settings.upload_threads, thread_name_prefix="image-bytes"),
        endings=ThreadPoolExecutor(settings.upload_threads, thread_name_prefix="image-endings"),
    )


def _stores(settings: ImageSettings, cloud_id: str) -> Stores:
    others: dict[str, Store] = {name: FileStore(directory) for name, directory in settings.more_stores.items()}
    if settings.s3_stores:
        from services.image.drivers.store.s3 import S3Store  # only here: boto3 costs every process some 20 MiB

        others |= {name: S3Store(at, prefix=f"{at.prefix}{cloud_id}/") for name, at in settings.s3_stores.items()}
    return Stores(FileStore(settings.store), others, default_id=settings.default_store, weights=settings.store_weights)


def build_engine(kit: Kit) -> SagaEngine:
    """Does the imports; several processes share them."""
    worker, pace = f"{socket.gethostname()}:{os.getpid()}", Pace(threads=kit.settings.import_threads, poll_s=5)
    return SagaEngine(kit.database, SAGA_TABLES, SAGAS, build_tools(kit), worker=worker, pace=pace)


def build_tools(kit: Kit) -> work.Kit:
    """What imports work with."""
    settings = kit.settings
    downloads = WebDownloads(
        rules=settings.web_rules(), most_bytes=settings.max_image_bytes, most_s=settings.web_download_s
    )
    return work.Kit(
        settings=settings,
        database=kit.database,
        stores=kit.stores,
        inspector=kit.inspector,
        downloads=downloads,
        converter=Converter(most_bytes=settings.max_image_bytes, most_s=settings.conversion_s),
        certificates=kit.certificates,
        bus=kit.bus,
    )


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
            remarks={"policy": lambda: probe(kit.policy), "stores": kit.stores.complain},
            limits=Limits(streamed=image_data.carries_bytes),
        )
    )
