"""The doctor finds what is wrong with a cloud that does not run, and says what to do about each thing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from click.testing import CliRunner
from sqlalchemy import insert

from cli import checks, clouds_file, settings_file
from cli.examination import Patient
from cli.main import cli
from cli.places import Places
from cli.settings_file import CloudSettings
from common.db import migrate
from common.db.database import Database
from common.settings import PlatformSettings
from services.compute.db.tables import ServerSaga
from services.compute.settings import ComputeSettings
from tests.conftest import free_port


@pytest.fixture
def places(tmp_path_factory: pytest.TempPathFactory) -> Places:
    """A cloud that was prepared and never started."""
    found = Places.at(tmp_path_factory.mktemp("cloud"))
    found.make()
    listen = f"127.0.0.1:{free_port()}"
    sections = settings_file.embedded(
        found, cloud_id=str(uuid4()), listen=listen, public_url=f"http://{listen}", storage=found.data / "guests"
    )
    settings_file.write(found, sections)
    clouds_file.write(found, PlatformSettings.read(found.settings), CloudSettings.read(found.settings))
    return found


@pytest.fixture
def compute(places: Places) -> Iterator[Database]:
    """The compute service's database of that cloud."""
    database = Database(ComputeSettings.read(places.settings).database_url)
    migrate.upgrade(database, "services.compute.db", ServerSaga.metadata)
    yield database
    database.close()


def test_a_cloud_that_does_not_run_is_not_well_and_each_finding_has_its_fix(places: Places) -> None:
    result = CliRunner().invoke(cli, ["doctor", "--data", str(places.data)])

    lines = result.output.splitlines()
    unwell = [number for number, line in enumerate(lines) if line.startswith("✗")]
    assert result.exit_code == 1
    assert any("processes" in lines[number] for number in unwell)
    assert any("services" in lines[number] for number in unwell)
    assert all("→" in lines[number + 1] for number in unwell)
    assert f"pileus up --data {places.data}" in result.output.replace("\n", "")


def test_status_of_a_cloud_that_does_not_run_is_red(places: Places) -> None:
    result = CliRunner().invoke(cli, ["status", "--data", str(places.data)])

    assert result.exit_code == 1
    assert "does not run" in result.output and "pileus doctor" in result.output


def test_settings_that_others_may_read_are_told_of(places: Places) -> None:
    assert checks.settings(Patient.at(places)).is_well

    places.settings.chmod(0o644)

    found = checks.settings(Patient.at(places))
    assert not found.is_well and found.fix == f"chmod 600 {places.settings}"


def test_a_request_past_its_deadline_is_told_of(places: Places, compute: Database) -> None:
    assert checks.sagas(Patient.at(places)).is_well

    with compute.transaction() as session:
        overdue = an_overdue_saga()
        session.execute(insert(ServerSaga).values(**overdue))

    found = checks.sagas(Patient.at(places))
    assert not found.is_well
    assert found.says == f"1 accepted requests are past their deadline: boot_server of {overdue['resource_id']}"


def an_overdue_saga() -> dict[str, object]:
    now = datetime.now(UTC)
    return {
        "id": uuid4(),
        "kind": "boot_server",
        "action": "create",
        "resource_id": uuid4(),
        "params": {},
        "results": {},
        "excluded": [],
        "due_at": now,
        "deadline_at": now - timedelta(minutes=1),
        "created_at": now,
        "updated_at": now,
    }


def test_a_database_of_an_older_release_is_told_of(places: Places, compute: Database) -> None:
    assert checks.trouble_with(compute, "compute") is None

    with compute.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'older'")

    found = checks.trouble_with(compute, "compute")
    assert found is not None and "older" in found.says


def test_a_damaged_database_is_told_of(places: Places, compute: Database) -> None:
    with sqlite3.connect(str(compute.url.database)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("UPDATE sqlite_master SET rootpage = 99999 WHERE name = 'servers'")
    connection.close()
    compute.engine.dispose()

    found = checks.trouble_with(compute, "compute")
    assert found is not None and not found.is_well
