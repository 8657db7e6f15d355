"""One Placement API on its own: a real database, tokens signed here, and words for what tests do with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx

from common.auth.policy import Policy
from common.bus.memory import MemoryBus
from common.db.database import Database
from common.http.inprocess import Inside
from services.compute.api.placement.app import placement_app
from services.compute.api.placement.kit import Kit
from services.compute.api.placement.policy import RULES
from services.compute.db.tables import ComputeTable
from tests.harness.tokens import ALICE, a_verifier, signed_token

URL = "http://cloud.test/placement"
NEWEST = "1.39"
OPERATOR = ("admin", "service", "member", "reader")


@dataclass
class Placement:
    """Whoever asks has all rights, at the newest version, unless the test says otherwise."""

    database: Database
    http: httpx.Client

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        at: str = NEWEST,
        roles: tuple[str, ...] = OPERATOR,
        **more: Any,
    ) -> httpx.Response:
        token = signed_token(project=ALICE, roles=roles, user="u" * 32)
        headers = {"x-auth-token": token, "openstack-api-version": f"placement {at}", **more.pop("headers", {})}
        if body is not None:
            more["json"] = body
        return self.http.request(method, path, headers=headers, **more)

    def get(self, path: str, *, at: str = NEWEST) -> Any:
        answer = self.ask("GET", path, at=at)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def provider(
        self,
        name: str,
        *,
        parent: str | None = None,
        traits: tuple[str, ...] = (),
        aggregates: tuple[str, ...] = (),
        **stocks: int | Mapping[str, Any],
    ) -> str:
        """Id of a new one.  `VCPU=8`, or `VCPU={"total": 8, "reserved": 1}`."""
        made = self.ask("POST", "/resource_providers", {"name": name, "parent_provider_uuid": parent})
        assert made.status_code == 200, made.text
        path = f"/resource_providers/{made.json()['uuid']}"
        self._put(f"{path}/inventories", inventories={
            resource: {"total": numbers} if isinstance(numbers, int) else numbers for resource, numbers in stocks.items()
        })  # fmt: skip
        for trait in traits:
            if trait.startswith("CUSTOM_"):
                assert self.ask("PUT", f"/traits/{trait}").status_code in (201, 204)
        if traits:
            self._put(f"{path}/traits", traits=list(traits))
        if aggregates:
            self._put(f"{path}/aggregates", aggregates=list(aggregates))
        return str(made.json()["uuid"])

    def _put(self, path: str, **body: Any) -> None:
        generation = self.generation(path.split("/")[2])
        answer = self.ask("PUT", path, body | {"resource_provider_generation": generation})
        assert answer.status_code == 200, answer.text

    def generation(self, provider: str) -> int:
        return int(self.get(f"/resource_providers/{provider}")["generation"])

    def hold(self, provider: str, consumer: str | UUID | None = None, **amounts: int) -> httpx.Response:
        """A new consumer takes this much."""
        return self.ask("PUT", f"/allocations/{consumer or uuid4()}", holding({provider: amounts}))

    def used(self, provider: str) -> dict[str, int]:
        found: dict[str, int] = self.get(f"/resource_providers/{provider}/usages")["usages"]
        return found

    def candidates(self, query: str, *, at: str = NEWEST) -> list[dict[str, dict[str, int]]]:
        """Provider -> class -> amount, of each."""
        found = self.get(f"/allocation_candidates?{query}", at=at)["allocation_requests"]
        return [{who: part["resources"] for who, part in one["allocations"].items()} for one in found]

    def takers(self, query: str) -> list[set[str]]:
        """Which providers each candidate takes from."""
        return sorted((set(one) for one in self.candidates(query)), key=sorted)


def holding(
    amounts: Mapping[str, Mapping[str, int]], *, seen: int | None = None, kind: str = "THING"
) -> dict[str, Any]:
    """What a client sends at the newest version; `seen`: generation of the consumer, None for a new one."""
    return {
        "allocations": {provider: {"resources": dict(one)} for provider, one in amounts.items()},
        "project_id": ALICE,
        "user_id": "somebody",
        "consumer_generation": seen,
        "consumer_type": kind,
    }


def told(answer: httpx.Response) -> dict[str, Any]:
    """The error in an answer."""
    [error] = answer.json()["errors"]
    assert error["status"] == answer.status_code and error["request_id"] == answer.headers["x-openstack-request-id"]
    found: dict[str, Any] = error
    return found


@contextmanager
def a_placement(url: str) -> Iterator[Placement]:
    database = Database(url, pool_size=20, synchronous="OFF")
    ComputeTable.metadata.create_all(database.engine)
    kit = Kit(database=database, policy=Policy(RULES), url=URL, prefix="/placement")
    inside, bus = Inside(), MemoryBus()
    inside.add("placement", placement_app(kit, bus, a_verifier(), identity_url="http://cloud.test/identity"))
    with httpx.Client(transport=inside.transport(), base_url="http://placement", timeout=120) as http:
        yield Placement(database, http)
    inside.close()
    bus.close()
    database.close()
