"""Bodies about server groups."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, StrictStr

from common.errors import InvalidInput
from services.compute.api.schemas.parts import Name, Part, Positive
from services.compute.core.server_groups import GroupPolicy

SOFT_SINCE = 15


class Rules(Part):
    max_server_per_host: Positive | None = None


class NewGroup(Part):
    since: ClassVar = {"policy": 64, "rules": 64}
    until: ClassVar = {"policies": 63}
    needed_since: ClassVar = {"policy": 64}

    name: Name
    policies: Annotated[list[StrictStr], Field(min_length=1, max_length=1)] | None = None
    policy: StrictStr | None = None
    rules: Rules | None = None


class CreateServerGroup(Part):
    server_group: NewGroup


def policy_of(asked: NewGroup, body: Any, version: int) -> GroupPolicy:
    """The one policy, which was a list until 2.63.  InvalidInput"""
    if version < 64 and asked.policies is None:
        raise InvalidInput(
            f"Invalid input for field/attribute server_group. Value: {body['server_group']}. "
            "'policies' is a required property"
        )
    given = asked.policies[0] if asked.policies else asked.policy
    known = [str(one) for one in GroupPolicy if version >= SOFT_SINCE or not one.is_soft]
    if given not in known:
        field, shown = ("0" if version < 64 else "policy"), str(given)[:64]
        raise InvalidInput(
            f"Invalid input for field/attribute {field}. Value: {shown}. {shown!r} is not one of {sorted(known)}"
        )
    return GroupPolicy(given)
