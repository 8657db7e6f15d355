"""Which service a path belongs to."""

from __future__ import annotations

import pytest

from api_gateway.services import brings_an_image, target_of
from common.errors import InvalidInput, NotFound


@pytest.mark.parametrize(
    ("asked", "service", "path"),
    [
        (b"/identity", "identity", b"/"),
        (b"/identity/", "identity", b"/"),
        (b"/identity/v3/auth/tokens", "identity", b"/v3/auth/tokens"),
        (b"/compute/v2.1/servers/a%2Fb", "compute", b"/v2.1/servers/a%2Fb"),
        (b"/image/v2/images/1/file", "image", b"/v2/images/1/file"),
        (b"/image/image", "image", b"/image"),
        (b"/compute/v2.1/flavors/m1...tiny", "compute", b"/v2.1/flavors/m1...tiny"),
    ],
)
def test_the_first_segment_names_the_service_and_the_rest_is_its_own_path(
    asked: bytes, service: str, path: bytes
) -> None:
    assert target_of(asked) == (service, path)


@pytest.mark.parametrize(
    "asked",
    [
        b"/",
        b"//identity/v3",
        b"/Identity/v3",
        b"/%69dentity/v3",
        b"/identity%2Fv3",
        b"/identityv3",
        b"//evil.com/%2F..",
        b"*",
        b"",
    ],
)
def test_a_path_that_names_no_service_is_not_found(asked: bytes) -> None:
    with pytest.raises(NotFound):
        target_of(asked)


@pytest.mark.parametrize(
    "asked",
    [
        b"/image/../identity/v3",
        b"/image/%2e%2e/identity",
        b"/image/v2/%2E./x",
        b"/image/v2/a%2f..%2fb",
        b"/image/v2/./x",
        b"/image/v2/..",
        b"/image/v2/x%00",
        b"/image/v2/x%0d%0aset-cookie:a",
        b"/image/v2/..%5cx",
    ],
)
def test_a_path_that_another_program_could_read_differently_is_refused(asked: bytes) -> None:
    with pytest.raises(InvalidInput):
        target_of(asked)


@pytest.mark.parametrize(
    ("asked", "method", "expected"),
    [
        (b"/image/v2/images/1/file", "PUT", True),
        (b"/image/v2/images/1/stage", "PUT", True),
        (b"/image/v2/images/1/file", "POST", False),
        (b"/image/v2/images", "PUT", False),
        (b"/image/v2/images/1/members/file", "PUT", False),
        (b"/compute/v2/images/1/file", "PUT", False),
    ],
)
def test_only_the_bytes_of_an_image_are_free_of_the_limit(asked: bytes, method: str, expected: bool) -> None:
    assert brings_an_image(target_of(asked), method) is expected
