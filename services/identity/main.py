"""Builds the identity service from its settings, and fills a new cloud."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from fastapi.routing import APIRoute
from sqlalchemy.orm import Session
from starlette.types import ASGIApp

from common.auth.policy_file import policy_of, probe
from common.auth.tokens import Revocation
from common.db import migrate
from common.db.database import Database
from common.db.types import utc_now
from common.http.app import Service, create_app
from common.http.audit import Audit
from common.periodic import Periodic
from common.process import Part, Surroundings
from common.settings import PlatformSettings
from services.identity.api import ROUTERS, RULES
from services.identity.api.edge import Edge
from services.identity.api.faults import IdentityFaults
from services.identity.api.kit import Kit, revoke
from services.identity.api.verifier import OwnVerifier
from services.identity.contract import IdentityActivity, TokenRevoked
from services.identity.core.application_secrets import ApplicationSecrets
from services.identity.core.bootstrap import Bootstrap
from services.identity.core.keys import Seal
from services.identity.core.lockout import Lockout
from services.identity.core.password_rules import PasswordRules
from services.identity.core.passwords import Passwords
from services.identity.core.seals import TextSeal
from services.identity.core.sources import Sources
from services.identity.db import bootstrap as first_rows
from services.identity.db import credentials, revocations, users
from services.identity.db.keyring import Keyring
from services.identity.db.tables import IdentityTable
from services.identity.settings import IdentitySettings

HOUSEKEEPING_EVERY_S = 600.0


def build(surroundings: Surroundings) -> Part:
    """The identity service."""
    settings = IdentitySettings.read(surroundings.settings_file)
    database = _database(settings)
    kit = _kit(surroundings, settings, database)
    housekeeping = Periodic(
        "identity housekeeping", lambda: keep_house(kit), every_s=HOUSEKEEPING_EVERY_S, at_once=False
    )
    return Part(
        name="identity",
        app=_app(kit),
        listen=settings.listen,
        starts=(housekeeping.start,),
        stops=(housekeeping.stop, database.close),
    )


def bootstrap(surroundings: Surroundings, wanted: Bootstrap) -> None:
    """Fill a new cloud with what it starts with; on an old one, change what differs.  Safe to repeat."""
    settings = IdentitySettings.read(surroundings.settings_file)
    database = _database(settings)
    ended: list[Revocation] = []

    def password_changed(session: Session, user_id: str) -> None:
        ended.append(revoke(session, settings, user_id=user_id))

    try:
        with database.transaction() as session:
            first_rows.write(
                session,
                wanted,
                passwords=_passwords(settings),
                public_url=surroundings.platform.public_url,
                region=surroundings.platform.region,
                password_changed=password_changed,
            )
    finally:
        database.close()
    for revocation in ended:
        surroundings.bus.tell(TokenRevoked(revocation=revocation))


@contextmanager
def signing_keys(settings_file: Path) -> Iterator[Keyring]:
    """The keys of a cloud, running or not, for its operator."""
    settings, platform = IdentitySettings.read(settings_file), PlatformSettings.read(settings_file)
    database = _database(settings)
    try:
        yield _keyring(settings, database, platform.bus_key.get_secret_value())
    finally:
        database.close()


def keep_house(kit: Kit) -> None:
    """Replace an old signing key; forget what no token outlives and failures that have been waited out."""
    now = utc_now()
    kit.keyring.prepare(max_age=timedelta(days=kit.settings.key_max_age_days))
    with kit.database.transaction() as session:
        revocations.forget(session, before=now)
        credentials.forget_passcodes(session, now - timedelta(minutes=5))
        users.forget_old_failures(session, now - timedelta(seconds=2 * kit.settings.lockout_longest_s))


def _database(settings: IdentitySettings) -> Database:
    database = Database(settings.database_url)
    migrate.upgrade(database, "services.identity.db", IdentityTable.metadata)
    return database


def _kit(surroundings: Surroundings, settings: IdentitySettings, database: Database) -> Kit:
    secret = surroundings.platform.bus_key.get_secret_value()
    keyring = _keyring(settings, database, secret)
    keyring.prepare(max_age=timedelta(days=settings.key_max_age_days))
    passwords = _passwords(settings)
    return Kit(
        settings=settings,
        url=f"{surroundings.platform.public_url.rstrip('/')}/identity/v3",
        secret=secret,
        database=database,
        bus=surroundings.bus,
        policy=policy_of(surroundings.platform.policy_file, "identity", RULES),
        passwords=passwords,
        secrets=ApplicationSecrets(secret, passwords),
        blobs=TextSeal(secret, "pileus credentials"),
        sources=Sources(settings.source_failures, settings.source_failures_per_s),
        password_rules=_password_rules(settings),
        lockout=Lockout(settings.lockout_after, settings.lockout_first_s, settings.lockout_longest_s),
        keyring=keyring,
        verifier=OwnVerifier(database, keyring),
    )


def _keyring(settings: IdentitySettings, database: Database, secret: str) -> Keyring:
    kept_for = timedelta(seconds=settings.token_lifetime_s + settings.expired_grace_s)
    return Keyring(database, Seal(secret), kept_for=kept_for)


def _passwords(settings: IdentitySettings) -> Passwords:
    return Passwords(
        memory_kib=settings.argon2_memory_kib,
        passes=settings.argon2_passes,
        lanes=settings.argon2_lanes,
        at_once=settings.parallel_hashes,
        wait_s=settings.hash_wait_s,
        longest=settings.longest_password,
    )


def _password_rules(settings: IdentitySettings) -> PasswordRules:
    return PasswordRules(
        pattern=settings.password_regex,
        description=settings.password_regex_description,
        unique_last=settings.unique_last_password_count,
        minimum_age_days=settings.minimum_password_age_days,
        expires_days=settings.password_expires_days,
        change_upon_first_use=settings.change_password_upon_first_use,
    )


def _app(kit: Kit) -> ASGIApp:
    faults = IdentityFaults(kit.url)
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    return create_app(
        Service(
            name="identity",
            routers=ROUTERS,
            faults=faults,
            state={"kit": kit, "paths": [route.path for route in routes], "verifier": kit.verifier},
            probes={"database": kit.database.ping},
            audit=Audit("identity", kit.bus, IdentityActivity),
            remarks={"policy": lambda: probe(kit.policy)},
            middleware=((Edge, {"faults": faults}),),
        )
    )
