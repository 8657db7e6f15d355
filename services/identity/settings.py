"""Options of the identity service: section `[identity]` of `pileus.toml`."""

from __future__ import annotations

import os
import re
from typing import ClassVar

from pydantic import Field, field_validator

from common.settings import Section


class IdentitySettings(Section):
    """Everything that an operator may set here."""

    section: ClassVar[str] = "identity"

    database_url: str = Field(description="sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME")
    listen: str = Field("127.0.0.1:5000", description="HOST:PORT when identity is a process of its own")

    token_lifetime_s: int = Field(3600, description="How long a new token is good for", ge=60, le=86_400)
    expired_grace_s: int = Field(
        172_800, description="How long `allow_expired` still recognises an expired token", ge=0
    )
    key_max_age_days: int = Field(30, description="A signing key is replaced when it is this old", ge=1)

    argon2_memory_kib: int = Field(19_456, description="Memory of one password hash (argon2id)", ge=8)
    argon2_passes: int = Field(2, description="Passes over that memory", ge=1)
    argon2_lanes: int = Field(1, description="Threads of one hash", ge=1)
    parallel_hashes: int = Field(
        default_factory=lambda: os.cpu_count() or 1, description="Hashes computed at once: as many as cores", ge=1
    )
    hash_wait_s: float = Field(20, description="How long a log-in waits for its turn to hash before it is a 503", gt=0)
    longest_password: int = Field(4096, description="Characters; a longer one is refused unseen", ge=64)

    lockout_after: int = Field(6, description="Failed log-ins in a row that a user may have free of charge", ge=1)
    lockout_first_s: float = Field(1, description="Wait after one more failure; it doubles with each", gt=0)
    lockout_longest_s: float = Field(300, description="The wait grows no longer than this", gt=0)

    password_regex: str = Field("", description="What each new password must match from its start on; empty: anything")
    password_regex_description: str = Field("", description="The same in words, for whoever chose another one")
    unique_last_password_count: int = Field(
        0, description="How many passwords in a row must differ, the new one included; 0: none", ge=0, le=24
    )
    minimum_password_age_days: int = Field(0, description="A user may not change its own new one for so long", ge=0)
    password_expires_days: int = Field(0, description="A password is good for so long; 0: for ever", ge=0)
    change_password_upon_first_use: bool = Field(
        False, description="A password that an administrator set is good only for choosing another one"
    )
    disable_user_account_days_inactive: int = Field(
        0, description="A user who has not logged in for so long counts as disabled; 0: never", ge=0
    )

    max_project_tree_depth: int = Field(5, description="Levels of projects below a domain", ge=1)
    source_failures: int = Field(
        200, description="Failed log-ins that one address may make at once before it must wait", ge=1
    )
    source_failures_per_s: float = Field(2, description="How many more of them each second brings", gt=0)
    receipt_lifetime_s: int = Field(
        300, description="How long the first half of a log-in with several methods counts", ge=10
    )
    redelegation_depth: int = Field(3, description="How often a trust may be handed on", ge=0)

    list_limit: int = Field(1000, description="Rows that one page of a list holds at most", ge=1)

    @field_validator("password_regex")
    @classmethod
    def _is_a_pattern(cls, written: str) -> str:
        try:
            re.compile(written)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return written
