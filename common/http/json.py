"""JSON answers, encoded by orjson."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import Request, Response

from common.http.invalid import strict_json


class Json(Response):
    """`Json(content)`: the usual answer; give `headers` and `status_code` as with any response."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS)


async def json_body(request: Request) -> Any:
    """The request's JSON.  InvalidInput when it is none, Unsupported never: old clients send odd media types."""
    return strict_json(await request.body())
