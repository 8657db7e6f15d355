"""The bodies that make and change regions, services and endpoints."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StrictBool, StringConstraints

from services.identity.api.schemas.resources import Fields
from services.identity.api.schemas.texts import Id, Name, Text

RegionId = Annotated[Text, StringConstraints(max_length=255)]
Url = Annotated[Text, StringConstraints(max_length=225, pattern=r"^[a-zA-Z0-9+.-]+:.+")]
Interface = Literal["admin", "internal", "public"]


class RegionFields(Fields):
    description: Text | None = ""
    parent_region_id: RegionId | None = None


class NewRegion(RegionFields):
    id: RegionId | None = None  # ours when it is not given


class RegionBody(BaseModel):
    region: NewRegion


class RegionChangeBody(BaseModel):
    region: RegionFields


class ServiceFields(Fields):
    name: Name = ""
    description: Text | None = ""
    enabled: StrictBool = True


class NewService(ServiceFields):
    type: Name


class ChangedService(ServiceFields):
    type: Name = ""


class ServiceBody(BaseModel):
    service: NewService


class ServiceChangeBody(BaseModel):
    service: ChangedService


class EndpointFields(Fields):
    region_id: RegionId | None = None
    region: RegionId | None = None  # its name of old, which makes a region that there is not
    enabled: StrictBool = True

    def names_region(self) -> bool:
        return bool({"region", "region_id"} & self.model_fields_set)


class NewEndpoint(EndpointFields):
    service_id: Id
    interface: Interface
    url: Url


class ChangedEndpoint(EndpointFields):
    service_id: Id = ""
    interface: Interface = "public"
    url: Url = ""


class EndpointBody(BaseModel):
    endpoint: NewEndpoint


class EndpointChangeBody(BaseModel):
    endpoint: ChangedEndpoint


class GroupFilters(BaseModel):
    """An endpoint is in the group when it has all of these."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    interface: Interface | None = None
    service_id: Text | None = None
    region_id: Text | None = None
    enabled: StrictBool | None = None

    def written(self) -> dict[str, Any]:
        return self.model_dump(exclude_unset=True)


class EndpointGroupFields(Fields):
    description: Text | None = None


class NewEndpointGroup(EndpointGroupFields):
    name: Name
    filters: GroupFilters


class ChangedEndpointGroup(EndpointGroupFields):
    name: Name | None = None  # the openstack command sends null for what stays
    filters: GroupFilters | None = None


class EndpointGroupBody(BaseModel):
    endpoint_group: NewEndpointGroup


class EndpointGroupChangeBody(BaseModel):
    endpoint_group: ChangedEndpointGroup
