"""A real S3 server on loopback: Swift from Debian's packages, in one process and one directory."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import boto3
from botocore.config import Config

from tests.conftest import free_port, missing

SERVER = Path(__file__).with_name("swift_server.py")
PYTHON = Path("/usr/bin/python3")


@dataclass
class ObjectStorage:
    """One server; `start` after `stop` finds everything again."""

    directory: Path
    port: int
    access_key: str
    secret_key: str
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = (str(PYTHON), str(SERVER), str(self.directory), str(self.port), self.access_key, self.secret_key)
        with (self.directory / "log").open("w") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said == "ready\n", (self.directory / "log").read_text()[-4000:]

    def stop(self) -> None:
        """Twice is once."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        self.process = None

    def client(self) -> Any:
        """boto3's, for looking at what is really there."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(
                s3={"addressing_style": "path"},
                retries={"max_attempts": 1},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def bucket(self) -> str:
        """A new one."""
        name = f"images-{token_hex(6)}"
        client = self.client()
        client.create_bucket(Bucket=name)
        client.close()
        return name

    def objects(self, bucket: str) -> dict[str, int]:
        """Name -> size of everything in the bucket."""
        client = self.client()
        found = {one["Key"]: one["Size"] for one in client.list_objects_v2(Bucket=bucket).get("Contents", [])}
        client.close()
        return found

    def unfinished(self, bucket: str) -> list[str]:
        """Names whose bytes are arriving."""
        client = self.client()
        found = [one["Key"] for one in client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]
        client.close()
        return found


@contextmanager
def object_storage(directory: Path) -> Iterator[ObjectStorage]:
    if not Path("/usr/bin/swift-proxy-server").exists():
        missing("Swift")
    directory.mkdir(parents=True, exist_ok=True)
    storage = ObjectStorage(directory, free_port(), access_key="test:images", secret_key=token_hex(16))
    try:
        storage.start()
        yield storage
    finally:
        with suppress(ProcessLookupError):
            storage.stop()
