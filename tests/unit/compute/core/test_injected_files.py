"""How many files a request may bring along for its guest, and how large, and where the guest finds them."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from common.errors import OverQuota
from services.compute.core.config_drive import VERSIONS, Identity, files
from services.compute.core.injected_files import MOST_BYTES, InjectedFile, must_be_few_files

MOST = {"injected_files": 2, "injected_file_content_bytes": 10, "injected_file_path_bytes": 8}
UNLIMITED = dict.fromkeys(MOST, -1)


def a_file(content: bytes = b"x", *, path: str = "/a") -> InjectedFile:
    return InjectedFile(path=path, contents=base64.b64encode(content).decode())


@pytest.mark.parametrize(
    ("brought", "most", "told"),
    [
        ([a_file()] * 3, MOST, "Personality file limit exceeded"),
        ([a_file(path="/ähnlich")], MOST, "Personality file path exceeds maximum 8"),
        ([a_file(b"12345678901")], MOST, "Personality file content exceeds maximum 10"),
        ([a_file(b"x" * MOST_BYTES)], UNLIMITED, f"Personality files exceed {MOST_BYTES} bytes together"),
    ],
    ids=["too many", "a long path", "a long content", "more than a row holds"],
)
def test_more_than_the_quota_is_refused(brought: list[InjectedFile], most: dict[str, int], told: str) -> None:
    with pytest.raises(OverQuota, match=f"^{told}$"):
        must_be_few_files(brought, most)


@pytest.mark.parametrize("brought", [[], [a_file(b"1234567890", path="/1234567")] * 2])
def test_as_much_as_the_quota_is_taken(brought: list[InjectedFile]) -> None:
    must_be_few_files(brought, MOST)


def test_a_guest_finds_its_files_on_its_config_drive_under_names_that_nobody_chose() -> None:
    identity = Identity(
        server_id=uuid4(), name="web", hostname="web", project_id="p", zone="nova", launch_index=0, flavor="m1.tiny",
        reservation_id="r-1", image_id=None, key_name=None, public_key=None, user_data=None, admin_password=None,
        created_at=datetime.now(UTC), files=(a_file(b"\xff\x00", path="../../etc/shadow"), a_file(b"two", path="/b")),
    )  # fmt: skip

    drive = files(identity)

    for version in VERSIONS:
        assert json.loads(drive[f"openstack/{version}/meta_data.json"])["files"] == [
            {"path": "../../etc/shadow", "content_path": "/content/0000"},
            {"path": "/b", "content_path": "/content/0001"},
        ]
    assert (drive["openstack/content/0000"], drive["openstack/content/0001"]) == (b"\xff\x00", b"two")
    assert not any("etc" in name for name in drive)
