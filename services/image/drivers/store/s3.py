"""Images in a bucket of an S3 server, under `<prefix><image id>`.

Bytes come in parts, which nobody sees until the server is told that they are one object; so an image appears at once or
not at all, as by a rename.  What the server says in its errors, addresses and names of keys too, ends here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from s3transfer.utils import ReadFileChunk

from common.errors import NotFound, PlatformError, TooLarge
from services.image.drivers.store.store import FULL, Keep, Living, broken, missing
from services.image.settings import S3Place

log = logging.getLogger(__name__)

MIB = 1 << 20
MOST_PARTS = 10_000
ABSENT = ("404", "NoSuchKey", "NoSuchUpload", "NotFound")
NO_ROOM = ("507", "413", "EntityTooLarge", "InsufficientStorage", "QuotaExceeded", "ServiceQuotaExceededException")
AT_ONCE = 4  # parts of one image that are on their way
RESUMES = 3  # times that a broken download is taken up again

for _wordy in ("boto3", "botocore", "s3transfer", "urllib3"):
    logging.getLogger(_wordy).setLevel(logging.ERROR)  # below that they tell addresses, and what is signed


@contextmanager
def plain_errors() -> Iterator[None]:
    """NotFound, TooLarge, Unavailable.  The causes are left out on purpose: their words name addresses and keys."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in ABSENT:
            raise missing() from None
        if code in NO_ROOM:
            raise TooLarge(FULL) from None
        raise broken(code[:40]) from None
    except (BotoCoreError, HTTPClientError) as error:
        raise broken(type(error).__name__) from None


class S3Store:
    kind = "s3"
    keeps_at_once = False

    def __init__(self, place: S3Place, *, prefix: str) -> None:
        self._place, self._prefix = place, prefix
        self._client = _client(place)
        self._pending: dict[UUID, tuple[str, str]] = {}  # upload -> key and the server's name for its parts
        self._sweep_at, self._sweeping = 0.0, threading.Lock()

    def bring(self, source: Path, image_id: UUID, upload_id: UUID, *, given: bool, heard: Callable[[], None]) -> Keep:
        self.discard(upload_id)
        key, size = self._key(image_id), source.stat().st_size
        with plain_errors():
            s3_id = self._client.create_multipart_upload(Bucket=self._place.bucket, Key=key)["UploadId"]
        self._pending[upload_id] = (key, s3_id)
        try:
            parts = self._send(source, size, key, s3_id, heard)
        except BaseException:
            with suppress(PlatformError):  # the sweep will find it
                self.discard(upload_id)
            raise
        return lambda: self._complete(upload_id, key, s3_id, parts)

    def _send(
        self, source: Path, size: int, key: str, s3_id: str, heard: Callable[[], None]
    ) -> list[dict[str, int | str]]:
        """Each part is read from the file while it is sent, so that none is ever held in memory."""
        step = max(self._place.part_mib * MIB, -(-size // MOST_PARTS))

        def send(number: int) -> dict[str, int | str]:
            with plain_errors(), ReadFileChunk.from_filename(str(source), (number - 1) * step, step) as part:
                sent = self._client.upload_part(
                    Bucket=self._place.bucket, Key=key, UploadId=s3_id, PartNumber=number, Body=part
                )
            return {"PartNumber": number, "ETag": sent["ETag"]}

        done = []
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="image-parts")
        try:
            for part in pool.map(send, range(1, max(1, -(-size // step)) + 1)):
                done.append(part)
                heard()
        finally:
            pool.shutdown(cancel_futures=True)  # nothing may send on when the rest is given up
        return done

    def _complete(self, upload_id: UUID, key: str, s3_id: str, parts: list[dict[str, int | str]]) -> None:
        """What began to be brought before is given up first: a process that hung may not replace these bytes later.

        What began after is left alone.  Uploads of an image follow each other, so it is this process that was given up then,
        or the other one, which is about to be told so.  Some servers tell whole seconds: what began in the same one is given
        up too, since bytes that were told to be an image's must stay its bytes.
        """
        began = {one["UploadId"]: one["Initiated"] for one in self._brought(key)}
        for other, at in began.items():
            if s3_id in began and other != s3_id and at <= began[s3_id]:
                self._abort(key, other)
        with plain_errors():
            self._client.complete_multipart_upload(
                Bucket=self._place.bucket, Key=key, UploadId=s3_id, MultipartUpload={"Parts": parts}
            )
        self._pending.pop(upload_id, None)

    def _brought(self, key: str) -> Iterator[dict[str, Any]]:
        """What is on its way to one image."""
        return (one for one in self._listed("list_multipart_uploads", "Uploads", key) if one["Key"] == key)

    def discard(self, upload_id: UUID) -> None:
        if (pending := self._pending.pop(upload_id, None)) is not None:
            self._abort(*pending)

    def _abort(self, key: str, s3_id: str) -> None:
        with suppress(NotFound), plain_errors():
            self._client.abort_multipart_upload(Bucket=self._place.bucket, Key=key, UploadId=s3_id)

    def holds(self, image_id: UUID) -> bool:
        try:
            with plain_errors():
                self._client.head_object(Bucket=self._place.bucket, Key=self._key(image_id))
        except NotFound:
            return False
        return True

    def open(self, image_id: UUID, first: int, end: int) -> S3Reading:
        return S3Reading(self._client, self._place.bucket, self._key(image_id), first, end)

    def local(self, image_id: UUID) -> Path | None:
        return None

    def url(self, image_id: UUID) -> str:
        return f"s3://{self._place.bucket}/{self._key(image_id)}"

    def remove(self, image_id: UUID) -> None:
        with suppress(NotFound), plain_errors():
            self._client.delete_object(Bucket=self._place.bucket, Key=self._key(image_id))

    def sweep(self, living: Living, *, older_than_s: float) -> int:
        """Only now and then: to list a bucket takes time, and money at some places."""
        with self._sweeping:
            if time.monotonic() < self._sweep_at:
                return 0
            self._sweep_at = time.monotonic() + self._place.sweep_every_s
        before = datetime.now(UTC) - timedelta(seconds=older_than_s)
        unfinished, images = self._unfinished(before), self._images(before)
        orphans = set(unfinished) - living.arriving(list(unfinished))
        strangers = set(images) - living.images(images)
        for image_id in orphans:
            for s3_id in unfinished[image_id]:
                self._abort(self._key(image_id), s3_id)
        for image_id in strangers:
            self.remove(image_id)
        return len(orphans) + len(strangers)

    def _unfinished(self, before: datetime) -> dict[UUID, list[str]]:
        """Image -> the server's names of what is arriving for it, begun before then."""
        found: dict[UUID, list[str]] = {}
        for one in self._listed("list_multipart_uploads", "Uploads"):
            if one["Initiated"] <= before and (image_id := self._image(one["Key"])):
                found.setdefault(image_id, []).append(one["UploadId"])
        return found

    def _images(self, before: datetime) -> list[UUID]:
        named = [
            self._image(one["Key"])
            for one in self._listed("list_objects_v2", "Contents")
            if one["LastModified"] <= before
        ]
        return [one for one in named if one is not None]

    def _listed(self, what: str, under: str, prefix: str | None = None) -> Iterator[dict[str, Any]]:
        prefix = self._prefix if prefix is None else prefix
        with plain_errors():
            for page in self._client.get_paginator(what).paginate(Bucket=self._place.bucket, Prefix=prefix):
                yield from page.get(under, ())

    def probe(self) -> None:
        with plain_errors():
            self._client.head_bucket(Bucket=self._place.bucket)

    def _key(self, image_id: UUID) -> str:
        return f"{self._prefix}{image_id}"

    def _image(self, key: str) -> UUID | None:
        """None for what is not ours."""
        try:
            return UUID(key.removeprefix(self._prefix))
        except ValueError:
            return None


class S3Reading:
    """A download that is taken up again where it broke off."""

    def __init__(self, client: Any, bucket: str, key: str, first: int, end: int) -> None:
        self._client, self._bucket, self._key = client, bucket, key
        self._offset, self._end, self._resumes = first, end, RESUMES
        self._body: Any = self._asked() if first < end else None

    def piece(self, size: int) -> bytes:
        while True:
            try:
                with plain_errors():
                    piece: bytes = self._body.read(size)
                if piece:
                    self._offset += len(piece)
                    return piece
                raise broken("short")
            except PlatformError:
                if not self._resumes:
                    raise
                self._resumes -= 1
            self.close()
            self._body = self._asked()

    def _asked(self) -> Any:
        wanted = f"bytes={self._offset}-{self._end - 1}"
        with plain_errors():
            return self._client.get_object(Bucket=self._bucket, Key=self._key, Range=wanted)["Body"]

    def close(self) -> None:
        if self._body is not None:
            self._body.close()


def _client(place: S3Place) -> Any:
    access_key, secret_key = place.keys()
    return boto3.session.Session().client(
        "s3",
        endpoint_url=place.endpoint_url,
        region_name=place.region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        verify=str(place.ca_file) if place.ca_file else None,
        config=Config(
            s3={"addressing_style": place.addressing},
            connect_timeout=5,
            read_timeout=place.patience_s,
            retries={"mode": "standard", "max_attempts": 3},
            max_pool_connections=32,
            request_checksum_calculation="when_required",  # servers other than Amazon's do not know the newer ones
            response_checksum_validation="when_required",
        ),
    )
