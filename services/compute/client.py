"""The compute service as other services use it."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from common.http.client import ServiceClient


class ServerFacts(BaseModel):
    """What others need to know of a server."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: UUID
    name: str
    status: str
    project_id: str = Field(alias="tenant_id")
    user_id: str
    host: str | None = Field(None, alias="OS-EXT-SRV-ATTR:host")  # only administrators and services are told


class ComputeClient(ServiceClient):
    """Thread-safe."""

    def server(self, server_id: UUID | str, token: str | None = None) -> ServerFacts:
        """The server, as the owner of `token` sees it, or this service.  NotFound"""
        return ServerFacts.model_validate(
            self.request("GET", f"/v2.1/servers/{server_id}", token=token).json()["server"]
        )
