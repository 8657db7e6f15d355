"""Options of the image service, section `[image]`."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr

from common.settings import Section
from services.image.core.imports import METHODS
from services.image.core.web_addresses import WebRules


class ImageSettings(Section):
    section: ClassVar[str] = "image"

    database_url: str = Field(description="SQLAlchemy address of this service's own database")
    listen: str = Field("127.0.0.1:9292", description="HOST:PORT when it runs as a process of its own")
    store: Path = Field(
        description="Directory of the file store; one per cloud, shared if several processes serve images"
    )
    more_stores: dict[str, Path] = Field(
        default_factory=dict, description="Further file stores: their ids and directories; the default one is 'file'"
    )
    service_username: str = Field("image", description="This service's user in project 'service'")
    service_password: SecretStr = Field(description="Password of that user")
    max_image_bytes: int = Field(1 << 40, gt=0, description="Largest image that is taken, in bytes")
    project_quota_bytes: int = Field(
        -1, ge=-1, description="Bytes one project may store, arriving ones included; -1: any"
    )
    project_quota_staged_bytes: int = Field(
        -1, ge=-1, description="Bytes one project may have in the staging area; -1: any"
    )
    project_quota_images: int = Field(-1, ge=-1, description="Images one project may have; -1: any")
    project_quota_uploading: int = Field(-1, ge=-1, description="Uploads and imports of one project at a time; -1: any")
    staging_bytes: int = Field(-1, ge=-1, description="Bytes that may be in the staging area at a time; -1: any")
    import_methods: list[str] = Field(list(METHODS), description="Ways to import that users may take")
    import_threads: int = Field(2, gt=0, description="Imports that one process does at a time")
    web_download_ports: list[int] = Field([80, 443], description="Ports of the web that images may come from")
    web_download_networks: list[str] = Field(
        default_factory=list, description="Private networks that images may be downloaded from, for example 10.1.0.0/16"
    )
    web_download_s: float = Field(3600, gt=0, description="A download from the web may take this long")
    max_properties: int = Field(128, ge=0, description="Properties one image may have")
    max_tags: int = Field(128, ge=0, description="Tags one image may have")
    max_members: int = Field(128, ge=0, description="Projects one image may be shared with")
    upload_threads: int = Field(4, gt=0, description="Threads that hash, write and read image bytes")
    upload_patience_s: float = Field(60, gt=0, description="An upload that is not heard of for this long is given up")
    sweep_every_s: float = Field(30, gt=0, description="Pause between two searches for bytes that belong to no image")
    inspector_idle_s: float = Field(20, gt=0, description="The inspecting process ends after this long without work")

    def web_rules(self) -> WebRules:
        return WebRules(frozenset(self.web_download_ports), tuple(map(ip_network, self.web_download_networks)))
