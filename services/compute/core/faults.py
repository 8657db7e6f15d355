"""Why a server is in error, as its owner sees it."""

from __future__ import annotations

from datetime import datetime
from typing import Any


def a_fault(message: str, *, at: datetime, details: str = "") -> dict[str, Any]:
    """The `fault` of Compute's API; `details` is for operators."""
    return {"code": 500, "message": message, "details": details, "created": at.strftime("%Y-%m-%dT%H:%M:%SZ")}
