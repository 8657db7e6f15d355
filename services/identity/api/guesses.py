"""Guesses at secrets, counted by the address that they come from."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import Request

from common.errors import NotFound, TooMany, Unauthenticated
from services.identity.api.kit import Kit


@contextmanager
def counted(kit: Kit, request: Request) -> Iterator[None]:
    """Around whatever compares a secret.  TooMany when too many from the same address failed; counts this one if it does."""
    source = request.headers.get("x-forwarded-for", "")  # the gateway says it; without it the request came from inside
    if source and (wait_s := kit.sources.wait_s(source, time.monotonic())):
        raise TooMany("Too many failed log-ins; try again later.", retry_after_s=math.ceil(wait_s))
    try:
        yield
    except (Unauthenticated, NotFound):  # a token that is none is not found
        if source:
            kit.sources.failed(source, time.monotonic())
        raise
