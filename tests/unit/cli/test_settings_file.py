"""A new cloud's settings: complete, secret, its own; later changes leave people's text alone."""

from __future__ import annotations

import json
import stat
import tomllib
from pathlib import Path

import pytest

from api_gateway.settings import GatewaySettings
from cli import clouds_file, first_users, guest_storage, settings_file, settings_template
from cli.places import Places
from cli.settings_file import CloudSettings
from common.settings import PlatformSettings
from services.compute.settings import AgentSettings, ComputeSettings
from services.identity.settings import IdentitySettings
from services.image.settings import ImageSettings

ALL = (
    CloudSettings,
    PlatformSettings,
    GatewaySettings,
    IdentitySettings,
    ImageSettings,
    ComputeSettings,
    AgentSettings,
)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    found = Places.at(tmp_path / "cloud")
    found.make()
    return found


def embedded(places: Places) -> settings_file.Sections:
    return settings_file.embedded(
        places,
        cloud_id=settings_file.new_cloud_id(),
        listen="127.0.0.1:1",
        public_url="http://127.0.0.1:1",
        storage=places.data / "guests",
    )


def distributed(places: Places) -> settings_file.Sections:
    return settings_file.distributed(
        places,
        cloud_id=settings_file.new_cloud_id(),
        listen="127.0.0.1:1",
        public_url="http://127.0.0.1:1",
        storage=places.data / "guests",
        bus_url="amqp://u:p@127.0.0.1:2/",
        database_url="postgresql+psycopg://u:p@127.0.0.1:3/",
        ports={"identity": 4, "image": 5, "compute": 6, "placement": 7, "console": 8},
    )


@pytest.mark.parametrize("form", [embedded, distributed])
def test_a_new_file_has_all_that_every_part_needs(places: Places, form: object) -> None:
    assert callable(form)
    settings_file.write(places, form(places))

    for section in ALL:
        section.read(places.settings)


def test_only_the_owner_can_read_what_holds_passwords(places: Places) -> None:
    settings_file.write(places, embedded(places))
    clouds_file.write(places, PlatformSettings.read(places.settings), CloudSettings.read(places.settings))

    for file in (places.settings, places.clouds):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(places.databases.stat().st_mode) == 0o700


def test_no_two_clouds_share_a_secret(tmp_path: Path) -> None:
    one, other = (str(embedded(Places.at(tmp_path / name))) for name in ("a", "b"))

    secrets = [
        value
        for section in embedded(Places.at(tmp_path)).values()
        for name, value in section.items()
        if "password" in name or name == "bus_key"
    ]
    assert len(set(secrets)) == len(secrets) >= 6
    assert one.replace("/a/", "/b/") != other


def test_a_change_touches_its_option_in_its_section_and_nothing_else(places: Places) -> None:
    settings_file.write(places, distributed(places))
    text = places.settings.read_text().replace("[gateway]", "# mine\n[gateway]\nmost_requests = 5  # also mine")
    places.settings.write_text(text)

    changed = settings_file.change(
        places, {"gateway": {"listen": "0.0.0.0:9"}, "platform": {"public_url": "http://x\\1"}}
    )

    after = tomllib.loads(places.settings.read_text())
    assert changed
    assert after["gateway"]["listen"] == "0.0.0.0:9" and after["identity"]["listen"] == "127.0.0.1:4"
    assert after["platform"]["public_url"] == "http://x\\1"
    assert "# mine\n" in places.settings.read_text() and "most_requests = 5  # also mine" in places.settings.read_text()
    assert not settings_file.change(places, {"gateway": {"listen": "0.0.0.0:9"}})


def test_clouds_yaml_has_the_administrator_and_an_ordinary_user(places: Places) -> None:
    settings_file.write(places, embedded(places))
    cloud = CloudSettings.read(places.settings)

    clouds_file.write(places, PlatformSettings.read(places.settings), cloud)

    written = json.loads(places.clouds.read_text())["clouds"]
    assert written["pileus-admin"]["auth"]["project_name"] == "admin"
    assert written["pileus"]["auth"]["username"] == "demo"
    assert written["pileus"]["auth"]["password"] == cloud.demo_password.get_secret_value()


def test_each_service_gets_its_user_and_none_more_than_it_needs(places: Places) -> None:
    settings_file.write(places, embedded(places))

    users = {user.name: tuple(user.roles) for user in first_users.service_users(places.settings)}

    assert users == {"image": ("service",), "compute": ("admin", "service"), "compute-agent": ("service",)}


def test_guests_are_kept_elsewhere_when_nobody_may_pass_to_the_data_directory(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    assert guest_storage.choose(Places.at(closed / "cloud"), "an-id") == Path("/var/lib/pileus/an-id")


def test_guests_are_kept_below_a_data_directory_that_lets_them_pass() -> None:
    assert guest_storage.choose(Places.at(Path("/var/lib/pileus-not-made/cloud")), "an-id").name == "guests"


def test_the_documented_template_has_every_option_there_is() -> None:
    assert settings_template.FILE.read_text() == settings_template.template(), (
        "renew it with: python -m cli.settings_template > deploy/config/pileus.toml"
    )
