"""Options: typed, described, read once at start from `pileus.toml`, environment over file.

Each service has a class of its own (`services/<name>/settings.py`) that names its section; `[platform]` is shared.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from common.errors import InvalidInput


class Section(BaseSettings):
    """One section of `pileus.toml`; the variable `PILEUS_<SECTION>_<OPTION>` wins over the file."""

    section: ClassVar[str]
    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @classmethod
    def read(cls, file: Path | None = None, **given: Any) -> Self:
        """The section of `file`, environment over it, and `given` where neither says anything.  InvalidInput"""
        try:
            written = tomllib.loads(file.read_text()).get(cls.section, {}) if file else {}
            return cls(**(given | written))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise InvalidInput(f"Cannot read the settings file {file}: {error}") from error
        except ValidationError as error:
            raise InvalidInput(f"Section [{cls.section}] of {file or 'the settings'}: {_plainly(error)}") from error

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "section" in cls.__dict__:
            cls.model_config = {**cls.model_config, "env_prefix": f"PILEUS_{cls.section.upper()}_"}


def _plainly(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())


class PlatformSettings(Section):
    """What every process of one cloud has in common."""

    section: ClassVar[str] = "platform"

    cloud_id: str = Field(description="Identity of this cloud: agents own only guests that carry it")
    region: str = Field("RegionOne", description="Name of the region in the catalog")
    public_url: str = Field(description="Address that clients use, without a path: the gateway's")
    bus_url: str = Field("memory://", description="amqp://user:password@host:port/vhost, or memory:// in one process")
    bus_key: SecretStr = Field(description="Signs every bus message; the same on all processes of a cloud")
    bus_queue_type: str = Field(
        "classic", description='"classic", or "quorum" for a cluster of brokers', pattern="^(classic|quorum)$"
    )
    bus_namespace: str = Field("pileus", description="First part of every queue and exchange name on the broker")
    identity_url: str = Field(description="Where the services reach identity")
    image_url: str = Field(description="Where the services and agents reach the image service")
    policy_file: Path | None = Field(
        None, description="YAML file of policy rules that replace the built-in ones; a changed file counts at once"
    )
    audit_log: Path | None = Field(
        None,
        description="File for the audit log; none: its lines are in the process's log. May be moved away at any time",
    )
    log_level: str = Field("info", description="debug, info, warning or error", pattern="^(debug|info|warning|error)$")
    log_form: str = Field("json", description='"json", or "text" for people', pattern="^(json|text)$")
