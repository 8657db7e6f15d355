"""Files that a request brings along for its guest, which finds them on its config drive.  The API had them until 2.56."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from common.errors import OverQuota
from services.compute.core.quotas import is_within

MOST_BYTES = 1 << 20
"""Of a server's files together, whatever its quota says: they are kept in its row, and sent to its host with each new guest."""


class InjectedFile(BaseModel):
    """`path` is the guest's affair: nothing on a host is ever called that."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: str
    contents: str  # base64, as given

    def content(self) -> bytes:
        return base64.b64decode(self.contents)


def must_be_few_files(files: Sequence[InjectedFile], most: Mapping[str, int]) -> None:
    """OverQuota in Nova's words.  `most`: resource -> limit; contents count as what they decode to."""
    if not files:
        return
    if not is_within(len(files), most["injected_files"]):
        raise OverQuota("Personality file limit exceeded")
    paths, contents = [len(one.path.encode()) for one in files], [len(one.content()) for one in files]
    if not is_within(max(paths), allowed := most["injected_file_path_bytes"]):
        raise OverQuota(f"Personality file path exceeds maximum {allowed}")
    if not is_within(max(contents), allowed := most["injected_file_content_bytes"]):
        raise OverQuota(f"Personality file content exceeds maximum {allowed}")
    if sum(paths) + sum(contents) > MOST_BYTES:
        raise OverQuota(f"Personality files exceed {MOST_BYTES} bytes together")
