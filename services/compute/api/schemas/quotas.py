"""Bodies about quotas."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from services.compute.api.schemas.parts import LARGEST_INT, Boolean, Part, refuse


def _limit(value: Any) -> Any:
    if isinstance(value, str):
        plain = value.removeprefix("-")
        if not plain.isascii() or not plain.isdigit() or len(plain) > 18:
            raise refuse(f"{value!r:.64} does not match '^-?[0-9]+$'")
        return int(value)
    return value


Limit = Annotated[int, BeforeValidator(_limit), Field(ge=-1, le=LARGEST_INT)]


NETWORKS = ("fixed_ips", "floating_ips", "security_groups", "security_group_rules")
FILES = ("injected_files", "injected_file_content_bytes", "injected_file_path_bytes")


class Limits(Part):
    instances: Limit | None = None
    cores: Limit | None = None
    ram: Limit | None = None
    key_pairs: Limit | None = None
    metadata_items: Limit | None = None
    server_groups: Limit | None = None
    server_group_members: Limit | None = None
    fixed_ips: Limit | None = None
    floating_ips: Limit | None = None
    security_groups: Limit | None = None
    security_group_rules: Limit | None = None
    injected_files: Limit | None = None
    injected_file_content_bytes: Limit | None = None
    injected_file_path_bytes: Limit | None = None

    def given(self) -> dict[str, int]:
        """Resource -> its new limit."""
        names = self.model_fields_set - {"force"}
        return {name: most for name in sorted(names) if (most := getattr(self, name)) is not None}


class NewLimits(Limits):
    until: ClassVar = dict.fromkeys(NETWORKS, 35) | dict.fromkeys(FILES, 56)

    force: Boolean = False


class UpdateQuota(Part):
    quota_set: NewLimits


class ClassLimits(Limits):
    until: ClassVar = dict.fromkeys(NETWORKS, 49) | dict.fromkeys(FILES, 56)


class UpdateQuotaClass(Part):
    quota_class_set: ClassLimits
