"""Options of the image service, section `[image]`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr

from common.settings import Section


class ImageSettings(Section):
    section: ClassVar[str] = "image"

    database_url: str = Field(description="SQLAlchemy address of this service's own database")
    listen: str = Field("127.0.0.1:9292", description="HOST:PORT when it runs as a process of its own")
    store: Path = Field(
        description="Directory of the file store; one per cloud, shared if several processes serve images"
    )
    service_username: str = Field("image", description="This service's user in project 'service'")
    service_password: SecretStr = Field(description="Password of that user")
    max_image_bytes: int = Field(1 << 40, gt=0, description="Largest image that is taken, in bytes")
    project_quota_bytes: int = Field(
        -1, ge=-1, description="Bytes one project may store, arriving ones included; -1: any"
    )
    max_properties: int = Field(128, ge=0, description="Properties one image may have")
    max_tags: int = Field(128, ge=0, description="Tags one image may have")
    max_members: int = Field(128, ge=0, description="Projects one image may be shared with")
    upload_threads: int = Field(4, gt=0, description="Threads that hash, write and read image bytes")
    upload_patience_s: float = Field(60, gt=0, description="An upload that is not heard of for this long is given up")
    sweep_every_s: float = Field(30, gt=0, description="Pause between two searches for bytes that belong to no image")
    inspector_idle_s: float = Field(20, gt=0, description="The inspecting process ends after this long without work")
