"""What placement's bodies may hold, by microversion."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

LARGEST = 2**31 - 1
LARGEST_RATIO = 3.40282e38


def _is_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError as error:
        raise ValueError(f"{text[:64]!r} is not a 'uuid'") from error


Id = Annotated[str, AfterValidator(_is_id)]
Key = Annotated[str, Field(pattern=r"^[0-9a-fA-F-]{36}$")]
ClassName = Annotated[str, Field(pattern=r"^[A-Z0-9_]+$", max_length=255)]
CustomName = Annotated[str, Field(pattern=r"^CUSTOM_[A-Z0-9_]+$", max_length=255)]
Amount = Annotated[int, Field(ge=1, le=LARGEST)]
Owner = Annotated[str, Field(min_length=1, max_length=255)]
Suffix = Annotated[str, Field(max_length=64)]
Resources = Annotated[dict[ClassName, Amount], Field(min_length=1)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


# ---------------------------------------------------------------- providers


class NewProvider(Strict):
    name: str = Field(max_length=200)
    uuid: Id = ""  # one is made up


class NewNestedProvider(NewProvider):
    """Since 1.14."""

    parent_provider_uuid: Id | None = None


class RenamedProvider(Strict):
    name: str = Field(max_length=200)


class ChangedProvider(RenamedProvider):
    """Since 1.14."""

    parent_provider_uuid: Id | None = None


class Traits(Strict):
    resource_provider_generation: int
    traits: list[Annotated[str, Field(min_length=1, max_length=255)]]


class Aggregates(Strict):
    """Since 1.19; before, the list alone."""

    aggregates: list[Id]
    resource_provider_generation: int


# ---------------------------------------------------------------- inventories


class Numbers(Strict):
    resource_provider_generation: int | None = Field(None, exclude=True)
    total: int = Field(ge=1, le=LARGEST)
    reserved: int = Field(0, ge=0, le=LARGEST)
    min_unit: int = Field(1, ge=1, le=LARGEST)
    max_unit: int = Field(LARGEST, ge=1, le=LARGEST)
    step_size: int = Field(1, ge=1, le=LARGEST)
    allocation_ratio: float = Field(1.0, ge=0, le=LARGEST_RATIO)


class OneInventory(Numbers):
    resource_provider_generation: int = Field(exclude=True)


class NewInventory(Numbers):
    resource_class: ClassName = Field(exclude=True)


class AllInventories(Strict):
    resource_provider_generation: int
    inventories: dict[ClassName, Numbers]


class NamedClass(Strict):
    name: CustomName


# ---------------------------------------------------------------- allocations


class NamedProvider(Strict):
    uuid: Id


class ListedPart(Strict):
    resource_provider: NamedProvider
    resources: Resources


class ListedAllocations(Strict):
    """Until 1.7."""

    allocations: list[ListedPart] = Field(min_length=1)


class OwnedListedAllocations(ListedAllocations):
    """1.8 to 1.11."""

    project_id: Owner
    user_id: Owner


class Part(Strict):
    resources: Resources
    generation: int | None = None


class Allocations(Strict):
    """1.12 to 1.27: as they are answered."""

    allocations: dict[Key, Part] = Field(min_length=1)
    project_id: Owner
    user_id: Owner


class ErasableAllocations(Allocations):
    """Of several consumers, 1.13 to 1.27: none means nothing more."""

    allocations: dict[Key, Part]


class SeenAllocations(ErasableAllocations):
    """Since 1.28."""

    consumer_generation: int | None


class MappedAllocations(SeenAllocations):
    """Since 1.34; what group was satisfied by whom is of no interest here."""

    mappings: dict[Suffix, Annotated[list[Id], Field(min_length=1)]] = Field(default_factory=dict, min_length=1)


class TypedAllocations(MappedAllocations):
    """Since 1.38."""

    consumer_type: ClassName


class Reshaping(Strict):
    inventories: dict[Key, AllInventories] = Field(min_length=1)
    allocations: dict[Key, Any]
