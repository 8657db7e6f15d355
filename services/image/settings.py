"""Options of the image service, section `[image]`."""

from __future__ import annotations

from configparser import ConfigParser, Error
from ipaddress import ip_network
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from common.errors import InvalidInput
from common.settings import Section
from services.image.core.imports import METHODS
from services.image.core.web_addresses import WebRules


class S3Place(BaseModel):
    """A bucket of an S3 server that keeps images: `[image.s3_stores.NAME]`.  Its images lie below this cloud's id."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    endpoint_url: str | None = Field(None, description="Address of the server; none: Amazon's of that region")
    bucket: str = Field(description="It must be there already")
    region: str = Field("us-east-1", description="What the server calls its region")
    addressing: Literal["path", "virtual", "auto"] = Field("path", description="Where the bucket's name stands in URLs")
    prefix: str = Field("", description="Start of every object's name")
    access_key: SecretStr | None = Field(None, description="Name of the key, unless a file has it")
    secret_key: SecretStr | None = Field(None, description="The key, unless a file has it")
    keys_file: Path | None = Field(
        None, description="File with aws_access_key_id and aws_secret_access_key in section [default]"
    )
    ca_file: Path | None = Field(None, description="Certificates that the server's one is checked against")
    part_mib: int = Field(16, ge=5, le=5120, description="Size of the parts that images are sent in")
    patience_s: float = Field(30, gt=0, description="A server that is silent for this long is given up")
    sweep_every_s: float = Field(3600, ge=0, description="Pause between two searches for what belongs to no image")

    @model_validator(mode="after")
    def _has_keys(self) -> Self:
        if self.keys_file is None and (self.access_key is None or self.secret_key is None):
            raise ValueError("give keys_file, or access_key and secret_key")
        return self

    def keys(self) -> tuple[str, str]:
        """InvalidInput, which tells nothing of them"""
        if self.access_key and self.secret_key:
            return self.access_key.get_secret_value(), self.secret_key.get_secret_value()
        found = ConfigParser(interpolation=None)
        try:
            found.read_string((self.keys_file or Path()).read_text())
            return found["default"]["aws_access_key_id"], found["default"]["aws_secret_access_key"]
        except (OSError, UnicodeDecodeError, Error, KeyError):
            raise InvalidInput(f"No keys for the image store can be read from {self.keys_file}") from None


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
    s3_stores: dict[str, S3Place] = Field(
        default_factory=dict, description="Stores in S3 servers: their ids and what `[image.s3_stores.NAME]` says"
    )
    store_weights: dict[str, int] = Field(
        default_factory=dict,
        description="Which stores are read from first, and named first: the heaviest; 0 if not named",
    )
    default_store: str = Field("file", description="Store for images that ask for none")
    cache_bytes: int = Field(
        10 << 30, ge=0, description="Room for images of stores elsewhere that are kept at hand; 0: no cache"
    )
    cache_idle_s: float = Field(7 * 86400, gt=0, description="An image that nobody used for this long leaves the cache")
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
    convert_imports_to: Literal["", "qcow2", "raw"] = Field(
        "",
        description="Format that imported disk images are converted to, the one that hosts use; empty: they stay as they are",
    )
    conversion_s: float = Field(3600, gt=0, description="A conversion may take this long")
    verify_signatures: bool = Field(
        False, description="Whether images with properties img_signature... are taken only if they were so signed"
    )
    certificates: Path = Field(
        Path("/etc/pileus/image-certificates"),
        description="Directory of the certificates that images are signed with, PEM or DER, each a file named by its UUID",
    )
    max_properties: int = Field(128, ge=0, description="Properties one image may have")
    max_tags: int = Field(128, ge=0, description="Tags one image may have")
    max_members: int = Field(128, ge=0, description="Projects one image may be shared with")
    upload_threads: int = Field(4, gt=0, description="Threads that hash, write and read image bytes")
    upload_patience_s: float = Field(60, gt=0, description="An upload that is not heard of for this long is given up")
    resume_patience_s: float = Field(
        6 * 3600, gt=0, description="An upload in ranges is waited for this long between two of them"
    )
    sweep_every_s: float = Field(30, gt=0, description="Pause between two searches for bytes that belong to no image")
    inspector_idle_s: float = Field(20, gt=0, description="The inspecting process ends after this long without work")

    def web_rules(self) -> WebRules:
        return WebRules(frozenset(self.web_download_ports), tuple(map(ip_network, self.web_download_networks)))
