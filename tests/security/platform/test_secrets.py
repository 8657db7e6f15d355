"""L1, L3, B7: secrets stay where they belong, in both modes, also when everything goes wrong."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from kombu import Connection, Producer
from sqlalchemy import create_engine, inspect, text

from common.bus.amqp import AmqpBus
from common.bus.amqp_wire import opened
from common.settings import PlatformSettings
from services.identity.core.totp import STEP_S, passcode
from tests.harness.clouds import Cloud, distributed
from tests.harness.files import files_below
from tests.harness.waiting import until
from tests.security.image.crafted import a_qcow2
from tests.security.platform.people import (
    Person,
    Town,
    settings_of,
    sign_in,
    storage_of,
    town_of,
)
from tests.security.platform.test_guests import open_places
from tests.security.platform.witness import Witness

SERVERS = "/compute/v2.1/servers"
KEEPERS = {"pileus.toml", "clouds.yaml"}
REFUSED = "refuse-me"


@dataclass
class Story:
    """A cloud in which much was done, with the secrets that were used, and what could be seen of it."""

    cloud: Cloud
    secrets: dict[str, str]
    processes: Witness
    bus: Witness
    servers: list[str]


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def story(request: pytest.FixtureRequest, libvirtd: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    processes, bus = Witness(), Witness()
    with ExitStack() as stack:
        stack.enter_context(processes.watching_processes())
        if request.param == "embedded":
            cloud: Cloud = request.getfixturevalue("real")
        else:
            temporary = str(tmp_path_factory.mktemp("temporary"))
            cloud = stack.enter_context(distributed(tmp_path_factory.mktemp("distributed") / "data", TMPDIR=temporary))
            keys = ["compute", *(f"compute.host.{name}" for name in hosts_of(cloud))]
            exchanges = [("pileus.calls", "direct", keys), ("pileus.events", "topic", ["#"])]
            stack.enter_context(bus.watching_broker(settings_of(cloud)["platform"]["bus_url"], exchanges))
        town = stack.enter_context(town_of(cloud))
        secrets, servers = act(town)
        until(lambda: names_in_temporary_folder(cloud) == [], what="a temporary folder with nothing in it")
        yield Story(cloud, secrets | of_operator(cloud), processes, bus, servers)


def hosts_of(cloud: Cloud) -> list[str]:
    with town_of(cloud) as town:
        found = town.admin.ask("GET", "/compute/v2.1/os-hypervisors").json()["hypervisors"]
        return [one["hypervisor_hostname"] for one in found]


def names_in_temporary_folder(cloud: Cloud) -> list[str]:
    """What services put there has a guessable name or is forgotten."""
    return sorted(path.name for path in Path(cloud.environment["TMPDIR"]).iterdir())


# ---------------------------------------------------------------- what happens


def act(town: Town) -> tuple[dict[str, str], list[str]]:
    """Everything that has to do with a secret, right and wrong.  Secrets by name, and the servers that run."""
    secrets = {name: f"canary-{uuid4().hex}" for name in ("password", "wrong password", "admin password", "user data")}
    secrets |= {name: f"Canary{uuid4().hex[:20]}" for name in ("malformed", "failing boot", "refused insert", "upload")}
    person = town.stranger(password=secrets["password"])
    secrets["token"] = person.token
    secrets["signature of the token"] = person.token.rsplit(".", 1)[1]
    secrets["private key"] = "PRIVATE KEY"
    pair = person.made("/compute/v2.1/os-keypairs", {"keypair": {"name": "pair"}})
    secrets["body of the private key"] = pair["private_key"].splitlines()[2]
    user_data = base64.b64encode(f"#!/bin/sh\n# {secrets['user data']}\n".encode()).decode()
    secrets["user data in base64"] = user_data

    server = person.boot(
        name="safe", adminPass=secrets["admin password"], user_data=user_data, key_name="pair", config_drive=True
    )
    assert server["status"] == "ACTIVE", server
    wrong_passwords(person, secrets["wrong password"])
    malformed_bodies(person, secrets["malformed"])
    failing_boot(town, person, secrets["failing boot"], user_data)
    refused_insert(town.cloud, person, secrets["refused insert"], user_data)
    refused_upload(person, secrets["upload"])
    secrets |= delegated(person)
    ended = sign_in(person.http, person.name, person.password, person.project).headers["x-subject-token"]
    secrets["revoked token"] = ended.rsplit(".", 1)[1]
    assert person.ask("DELETE", "/identity/v3/auth/tokens", headers={"x-subject-token": ended}).status_code == 204
    return secrets, [server["id"]]


def delegated(person: Person) -> dict[str, str]:
    """Secrets by which programs act in somebody's name, used right and wrong."""
    own, home = f"canary-{uuid4().hex}", f"/identity/v3/users/{person.user_id}"
    made = person.made(f"{home}/application_credentials", {"application_credential": {"name": "robot", "secret": own}})
    pair = person.made(f"{home}/credentials/OS-EC2", {"tenant_id": person.project_id})
    for secret in (own, own + "x"):
        identity = {
            "methods": ["application_credential"],
            "application_credential": {"id": made["id"], "secret": secret},
        }
        person.http.post("/identity/v3/auth/tokens", json={"auth": {"identity": identity}})
    seed = base64.b32encode(os.urandom(20)).decode()
    person.made("/identity/v3/credentials", {"credential": {"type": "totp", "blob": seed, "user_id": person.user_id}})
    passcodes = passcodes_of(person, seed)
    return {"application credential's secret": own, "EC2 secret": pair["secret"], "TOTP seed": seed} | passcodes


def passcodes_of(person: Person, seed: str) -> dict[str, str]:
    """One that was right, and one that is too long to be one: a log may hold six other digits by chance."""
    right, wrong = passcode(base64.b32decode(seed), int(time.time()) // STEP_S), f"canary-{uuid4().hex}"
    statuses = []
    for given in (wrong, right):
        user = {"id": person.user_id, "passcode": given}
        auth = {"identity": {"methods": ["totp"], "totp": {"user": user}}}
        statuses.append(person.http.post("/identity/v3/auth/tokens", json={"auth": auth}).status_code)
    assert statuses == [401, 201]
    return {"wrong passcode": wrong}


def wrong_passwords(person: Person, password: str) -> None:
    for name in (person.name, "nobody"):
        assert sign_in(person.http, name, password, person.project).status_code == 401


def malformed_bodies(person: Person, secret: str) -> None:
    """Bodies and headers that are refused, each with a secret in it."""
    user = {"name": person.name, "domain": {"id": "default"}, "password": [secret]}
    auth = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
    order = person.order(adminPass={"secret": secret}, user_data=[secret])
    tried = [
        person.ask("POST", "/identity/v3/auth/tokens", content=json.dumps(auth)[:-3]),
        person.ask("POST", "/identity/v3/auth/tokens", json=auth),
        person.ask("POST", SERVERS, json=order),
        person.ask("POST", SERVERS, json=person.order(adminPass=secret, user_data="%" + secret)),
        person.ask("POST", SERVERS, json=person.order(adminPass=secret * 50)),
        person.ask("POST", SERVERS, content=b"{" + secret.encode()),
        person.ask("GET", SERVERS, headers={"x-auth-token": secret}),
        person.ask("GET", "/image/v2/images", headers={"x-auth-token": person.token[:-8] + secret[-8:]}),
        person.ask("GET", "/identity/v3/auth/tokens", headers={"x-subject-token": secret}),
        person.ask("POST", "/identity/v3/users", json={"user": {"name": "n", "password": secret}}),
    ]
    assert {one.status_code for one in tried} <= {400, 401, 403, 404}


def failing_boot(town: Town, person: Person, password: str, user_data: str) -> None:
    """On a host, because the image's bytes are not the recorded ones."""
    image, _ = person.image(os.urandom(65536), disk_format="raw")
    stored = town.cloud.data / "images" / image["id"]
    stored.chmod(0o600)
    stored.write_bytes(os.urandom(65536))
    server = person.boot(imageRef=image["id"], adminPass=password, user_data=user_data)
    assert server["status"] == "ERROR"


def refused_insert(cloud: Cloud, person: Person, password: str, user_data: str) -> None:
    """The database refuses the very row that holds the secrets."""
    with refusing_rows(cloud):
        order = person.order(name=REFUSED, adminPass=password, user_data=user_data)
        answer = person.ask("POST", SERVERS, json=order)
    assert answer.status_code >= 400 and password not in answer.text


@contextmanager
def refusing_rows(cloud: Cloud) -> Iterator[None]:
    url = settings_of(cloud)["compute"]["database_url"]
    if url.startswith("sqlite"):
        on = f"CREATE TRIGGER refusal BEFORE INSERT ON servers WHEN NEW.name = '{REFUSED}' BEGIN SELECT RAISE(ABORT, 'no'); END"
        off = "DROP TRIGGER refusal"
    else:
        on = f"ALTER TABLE servers ADD CONSTRAINT refusal CHECK (name <> '{REFUSED}') NOT VALID"
        off = "ALTER TABLE servers DROP CONSTRAINT refusal"
    execute(url, on)
    try:
        yield
    finally:
        execute(url, off)


def execute(url: str, statement: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def refused_upload(person: Person, secret: str) -> None:
    _, uploaded = person.image(a_qcow2(backing=secret.encode()) + secret.encode())
    assert 400 <= uploaded.status_code < 500


def of_operator(cloud: Cloud) -> dict[str, str]:
    """The secrets in the settings file."""
    sections = settings_of(cloud)
    found = {
        f"{section}.{name}": value
        for section, values in sections.items()
        for name, value in values.items()
        if "password" in name or name == "bus_key"
    }
    urls = {"broker": sections["platform"]["bus_url"], "database": sections["compute"]["database_url"]}
    found |= {name: url.split("@")[0].rsplit(":", 1)[1] for name, url in urls.items() if "@" in url}
    assert len(found) >= 6
    return found


# ---------------------------------------------------------------- what can be seen of it


def told(story: Story, places: list[tuple[str, bytes]]) -> list[str]:
    return [
        f"{name} in {place}"
        for place, data in places
        for name, secret in story.secrets.items()
        if secret.encode() in data
    ]


def test_l1_no_log_tells_a_secret(story: Story) -> None:
    logs = [path for path in files_below(story.cloud.data) if path.suffix == ".log" or "log" in path.parts]

    assert sum(path.stat().st_size for path in logs) > 1000
    assert any(b"refuse" in path.read_bytes() or b"failed" in path.read_bytes() for path in logs), "no error was logged"
    assert told(story, [(path.name, path.read_bytes()) for path in logs]) == []


def test_l1_no_argument_and_no_environment_tells_a_secret(story: Story) -> None:
    assert len(story.processes.seen) > 20
    assert [
        f"{name}: {found}" for name, secret in story.secrets.items() if (found := story.processes.tells(secret))
    ] == []


def test_l1_no_message_tells_a_secret(story: Story) -> None:
    if story.cloud.is_distributed:
        key = settings_of(story.cloud)["platform"]["bus_key"].encode()
        plain = [opened(one, key) for one in list(story.bus.seen)]
        sent = story.secrets["user data in base64"].encode()
        forms = {sent, sent.translate(bytes.maketrans(b"+/", b"-_"))}
        assert any(form in one for one in plain for form in forms), "the tap saw no guest being made"
    assert [f"{name}: {found}" for name, secret in story.secrets.items() if (found := story.bus.tells(secret))] == []


def test_l1_the_databases_hold_no_secret_but_hashes(story: Story) -> None:
    sections = settings_of(story.cloud)
    dumps = [(name, dump(sections[name]["database_url"])) for name in ("identity", "image", "compute")]

    theirs = {"user data in base64"}  # the owner may read it back, so it is kept
    assert [one for one in told(story, dumps) if one.split(" in ")[0] not in {*theirs, "user data"}] == []
    assert dict(dumps)["identity"].count(b"$argon2id$") >= 6
    assert story.servers[0].replace("-", "").encode() in dict(dumps)["compute"].replace(b"-", b"")


def dump(url: str) -> bytes:
    """Every row of every table, as text."""
    engine = create_engine(url)
    rows = []
    with engine.connect() as connection:
        for table in inspect(engine).get_table_names():
            rows += [repr(tuple(row)) for row in connection.execute(text(f'SELECT * FROM "{table}"'))]
    engine.dispose()
    return "\n".join(rows).encode()


def test_l1_only_two_files_hold_what_the_cloud_was_given(story: Story) -> None:
    """Databases are looked into above; a guest's own drive is for the guest alone, and has its user data."""
    roots = {story.cloud.data, storage_of(story.cloud)}
    files = [path for path in files_below(*roots) if not is_database(story.cloud, path)]
    found = told(story, [(str(path), held_by(path)) for path in files if path.suffix not in (".qcow2", ".iso")])

    keepers = KEEPERS | {"url", "password", "pgpass", "rabbitmq.conf", "definitions.json"}
    holders = {Path(one.rsplit(" in ", 1)[1]) for one in found}
    assert {path.name for path in holders} <= keepers, found
    assert {path.stat().st_mode & 0o077 for path in holders} == {0}


def held_by(file: Path) -> bytes:
    """Nothing, if it has just gone: the broker replaces its files as it likes."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""


def is_database(cloud: Cloud, path: Path) -> bool:
    inside = path.relative_to(cloud.data).parts if path.is_relative_to(cloud.data) else ()
    return inside[:1] == ("databases",) or (inside[:1] == ("postgresql",) and path.suffix != ".log")


def test_l3_nothing_is_open_to_others(story: Story) -> None:
    assert open_places(story.cloud.data) + open_places(storage_of(story.cloud)) == []


def test_b7_a_hostile_message_to_a_host_or_the_worker_is_parked_and_boots_go_on(story: Story) -> None:
    if not story.cloud.is_distributed:
        assert settings_of(story.cloud)["platform"]["bus_url"] == "memory://", "nobody can reach this bus"
        return
    platform = PlatformSettings.read(story.cloud.data / "pileus.toml")
    bus = AmqpBus(platform)
    before, keys = bus.parked(), ["compute", *(f"compute.host.{name}" for name in hosts_of(story.cloud))]
    old = max(story.bus.seen, key=len)
    bodies = [b"", b"{", b"\xff" * 1000, b"[" * 100_000, b"x" * 5_000_000, old, b'{"type": "DestroyGuest", "body": {}}']

    with Connection(platform.bus_url) as connection, Producer(connection.channel()) as producer:
        for key in keys:
            for body in bodies:
                producer.publish(body, exchange="pileus.calls", routing_key=key, headers={"x-pileus-signature": "0" * 64},
                                 content_type="application/json", content_encoding="binary")  # fmt: skip

    until(lambda: bus.parked() >= before + len(keys) * len(bodies), what="the parking of all of them")
    bus.close()
    with town_of(story.cloud) as town:
        server = town.admin.boot()
        assert server["status"] == "ACTIVE"
        town.admin.ask("DELETE", f"{SERVERS}/{server['id']}")
