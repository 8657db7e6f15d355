"""Which SPICE connections are a session's first, which a further one, and which are none that a guest here has."""

from __future__ import annotations

import pytest

from common.errors import InvalidInput
from services.compute.core.spice import begins_session
from tests.harness.spice import CURSOR, DISPLAY, INPUTS, MAIN, USB, link


def test_the_main_connection_of_no_session_begins_one() -> None:
    assert begins_session(link(MAIN))


@pytest.mark.parametrize("kind", [DISPLAY, INPUTS, CURSOR])
def test_the_others_belong_to_a_session(kind: int) -> None:
    assert not begins_session(link(kind, session=7))


@pytest.mark.parametrize(
    "first",
    [
        link(MAIN, session=7),
        link(DISPLAY),
        link(USB, session=7),
        link()[:21],
        b"RFB 003.008\n" * 3,
        b"REDQ" + b"\xff" * 30,
        link() + bytes(5000),
        b"",
    ],
)
def test_anything_else_is_refused(first: bytes) -> None:
    with pytest.raises(InvalidInput):
        begins_session(first)
