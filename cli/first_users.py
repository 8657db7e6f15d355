"""A new cloud's users, roles, projects and catalog: identity writes them, with the passwords of `pileus.toml`."""

from __future__ import annotations

import tomllib
from pathlib import Path

from cli.settings_file import CloudSettings
from common.errors import InvalidInput
from common.process import Surroundings
from services.identity.core.bootstrap import Bootstrap, ServiceUser
from services.identity.main import bootstrap

SERVICE_ALONE = ("service",)
ADMINISTRATORS = (
    "compute",
)  # it fills images of other projects with the disks of their servers, which takes an administrator


def ensure(surroundings: Surroundings) -> None:
    """Make what is missing, and take over passwords and addresses that changed in the file."""
    if surroundings.settings_file is None:
        raise InvalidInput("The first users' passwords are in the settings file; there is none")
    cloud = CloudSettings.read(surroundings.settings_file)
    wanted = Bootstrap(
        admin_password=cloud.admin_password.get_secret_value(),
        demo_password=cloud.demo_password.get_secret_value(),
        service_users=service_users(surroundings.settings_file),
    )
    bootstrap(surroundings, wanted)


def schemas(surroundings: Surroundings) -> None:
    """The newest schema in every other database, before their services start."""
    from services.compute.main import prepare as prepare_compute
    from services.image.main import prepare as prepare_image

    prepare_image(surroundings)
    prepare_compute(surroundings)


def service_users(settings_file: Path) -> tuple[ServiceUser, ...]:
    """One for each section that says how its service logs in."""
    sections = tomllib.loads(settings_file.read_text())
    return tuple(
        ServiceUser(values["service_username"], values["service_password"], *_roles(section))
        for section, values in sections.items()
        if isinstance(values, dict) and "service_username" in values and "service_password" in values
    )


def _roles(section: str) -> tuple[tuple[str, ...], ...]:
    """Nobody gets more than it needs, a host least of all."""
    return () if section in ADMINISTRATORS else (SERVICE_ALONE,)
