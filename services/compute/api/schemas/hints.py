"""What a body may hint at the scheduler.  Hints that nobody knows may hold anything, as in Compute; some of those that it knows
(`query`, `build_near_host_ip` with `cidr`, cells) only filters heed that neither Nova nor this cloud has on."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict

from services.compute.api.schemas.parts import refuse

Check = Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_name(value: Any) -> bool:
    return _is_text(value) and len(value.strip()) > 0 and len(value) <= 255


def _is_id(value: Any) -> bool:
    try:
        return _is_text(value) and str(UUID(value)).replace("-", "") == value.lower().replace("-", "")
    except ValueError:
        return False


def _is_address(value: Any) -> bool:
    try:
        return _is_text(value) and bool(ip_address(value))
    except ValueError:
        return False


def _is_cidr(value: Any) -> bool:
    return _is_text(value) and re.fullmatch(r"/[0-9a-f.:]+", value) is not None


def _one_or_list(check: Check, single: Check | None = None) -> Check:
    alone = single or check
    return lambda value: all(map(check, value)) if isinstance(value, list) else alone(value)


def _must(check: Check, told: str) -> AfterValidator:
    def look(value: Any) -> Any:
        if not check(value):
            raise refuse(f"{value!r:.64} is not {told}")
        return value

    return AfterValidator(look)


# fmt: off
Ids       = Annotated[Any, _must(_one_or_list(_is_id), "a 'uuid', nor a list of them")]
TextOrIds = Annotated[Any, _must(_one_or_list(_is_id, _is_text), "of type 'string', nor a list of 'uuid'")]
Texts     = Annotated[Any, _must(_one_or_list(_is_text), "of type 'string', nor a list of them")]
Query     = Annotated[Any, _must(lambda value: isinstance(value, str | dict), "of type 'string', 'object'")]
CellName  = Annotated[Any, _must(_is_name, "a name of 1 to 255 characters")]
Address   = Annotated[Any, _must(_is_address, "a 'ip-address'")]
Cidr      = Annotated[Any, _must(_is_cidr, "of the form '^/[0-9a-f.:]+$'")]
# fmt: on


class Hints(BaseModel):
    model_config = ConfigDict(extra="allow")

    group: Ids = None
    different_host: Ids = None
    same_host: TextOrIds = None
    query: Query = None
    target_cell: CellName = None
    different_cell: Texts = None
    build_near_host_ip: Address = None
    cidr: Cidr = None

    def said(self) -> dict[str, Any]:
        """As they were given."""
        return self.model_dump(exclude_unset=True)
