"""Requests made up from the OpenAPI documents: whatever is sent, no error is ours, and each error is well formed.

The seed is fixed and the number of requests for each operation bounded, so that every run is the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import APIOperation, Case
from schemathesis.core.result import Ok

from tests.conftest import ROOT
from tests.security.platform.people import NEWEST, PATCH, Person, Town, microversion
from tests.security.platform.test_routes import complaint

REQUESTS = 6  # for each operation
DOCUMENTS = ROOT / "docs" / "api" / "openapi"
LEFT_OUT = {
    "/v3/auth/tokens",  # wrong log-ins lock the address out
    "/v3/users/{user_id}/password",
}

schemathesis.serializer.alias(PATCH, "application/json")


def operations(document: Path) -> Iterator[APIOperation[Any, Any, Any, Any]]:
    schema = schemathesis.openapi.from_dict(json.loads(document.read_text()))
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if operation.path not in LEFT_OUT and operation.method.lower() != "head":
            yield operation


def asked(person: Person, service: str, case: Case[Any]) -> httpx.Response:
    request = case.as_transport_kwargs(base_url=f"http://cloud/{service}")
    body = {name: request[name] for name in ("json", "data") if request.get(name) is not None}
    content = json.dumps(body["json"]).encode() if "json" in body else body.get("data", b"")
    headers = {
        "content-type": case.media_type or "application/json",
        "accept": "application/json",
        **microversion(NEWEST),
    }
    path = httpx.URL(request["url"]).raw_path.decode()
    return person.ask(case.method, path, content=content, params=request.get("params"), headers=headers)


def fuzzed(person: Person, service: str, operation: APIOperation[Any, Any, Any, Any]) -> list[str]:
    wrong: list[str] = []

    @seed(20261125)
    @settings(max_examples=REQUESTS, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(case=operation.as_strategy())
    def run(case: Case[Any]) -> None:
        answer = asked(person, service, case)
        if found := complaint(service, answer):
            wrong.append(f"{case.method} {answer.request.url.raw_path.decode()[:120]} {str(case.body)[:200]}: {found}")

    run()
    return wrong[:1]


@pytest.mark.parametrize("service", ["identity", "image", "compute", "placement"])
def test_c8_no_made_up_request_is_an_error_of_ours(town: Town, service: str) -> None:
    person = town.admin if service in ("identity", "placement") else town.stranger()
    found = list(operations(DOCUMENTS / f"{service}.json"))

    with ThreadPoolExecutor(2) as threads:
        told = [one for wrong in threads.map(lambda one: fuzzed(person, service, one), found) for one in wrong]

    assert len(found) > 15
    assert told == [], "\n".join(told)
