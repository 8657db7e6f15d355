"""Vendor data: a JSON file, and services of the operator that are asked about each guest.  Source: Nova admin guide."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from common.errors import Unavailable
from services.compute.core.config_drive import VendorData

log = logging.getLogger(__name__)

MOST_BYTES = 1 << 20


class VendorSource:
    """Asks again for every guest: the file may change, and so may the answers."""

    def __init__(
        self, file: Path | None, targets: Mapping[str, str], *, timeout_s: float = 5, is_required: bool = False
    ) -> None:
        self._file, self._targets = file, dict(targets)
        self._timeout_s, self._is_required = timeout_s, is_required

    def told(self, about: Mapping[str, Any]) -> VendorData:
        """What can't be had is empty, and logged; Unavailable where it is required."""
        return VendorData(self._static(), self._dynamic(about))

    def _static(self) -> Any:
        if self._file is None:
            return {}
        try:
            return json.loads(self._file.read_bytes())
        except (OSError, ValueError) as error:
            return self._missing(str(self._file), error)

    def _dynamic(self, about: Mapping[str, Any]) -> dict[str, Any]:
        if not self._targets:
            return {}
        with ThreadPoolExecutor(len(self._targets)) as threads:
            asked = {name: threads.submit(self._ask, name, url, about) for name, url in self._targets.items()}
            return {name: future.result() for name, future in asked.items()}

    def _ask(self, name: str, url: str, about: Mapping[str, Any]) -> Any:
        try:
            return _answer(url, about, self._timeout_s)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, TimeoutError) as error:
            return self._missing(name, error)

    def _missing(self, what: str, error: Exception) -> dict[str, Any]:
        log.warning("no vendor data", extra={"source": what, "why": f"{type(error).__name__}: {error}"[:300]})
        if self._is_required:
            raise Unavailable(f"The vendor data '{what}' of this cloud can't be had") from error
        return {}


def _answer(url: str, about: Mapping[str, Any], timeout_s: float) -> Any:
    """The whole answer within the time, however slowly it trickles."""
    deadline, taken = time.monotonic() + timeout_s, bytearray()
    with httpx.stream("POST", url, json=dict(about), timeout=timeout_s, trust_env=False) as answer:
        answer.raise_for_status()
        for piece in answer.iter_bytes():
            taken += piece
            if len(taken) > MOST_BYTES:
                raise ValueError(f"more than {MOST_BYTES} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError(f"no whole answer within {timeout_s:g} s")
    return json.loads(taken)
