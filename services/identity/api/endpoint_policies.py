"""Which policy document is for which endpoints.  Identity API v3 extension OS-ENDPOINT-POLICY."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from fastapi import Request, Response
from sqlalchemy.orm import Session

from common.http.identity import Caller
from common.http.json import Json
from services.identity.api import endpoints as endpoint_api
from services.identity.api import policies as policy_api
from services.identity.api.kit import KitOf
from services.identity.api.lists import PageOf, answer
from services.identity.api.routing import Router
from services.identity.db import catalog, policies
from services.identity.db.policies import Aim
from services.identity.db.tables import Endpoint

router = Router()

# fmt: off
RULES = {
    "identity:create_policy_association_for_endpoint":            "rule:admin",
    "identity:check_policy_association_for_endpoint":             "rule:cloud_reader",
    "identity:delete_policy_association_for_endpoint":            "rule:admin",
    "identity:create_policy_association_for_service":             "rule:admin",
    "identity:check_policy_association_for_service":              "rule:cloud_reader",
    "identity:delete_policy_association_for_service":             "rule:admin",
    "identity:create_policy_association_for_region_and_service":  "rule:admin",
    "identity:check_policy_association_for_region_and_service":   "rule:cloud_reader",
    "identity:delete_policy_association_for_region_and_service":  "rule:admin",
    "identity:get_policy_for_endpoint":                           "rule:cloud_reader",
    "identity:list_endpoints_for_policy":                         "rule:cloud_reader",
}
# fmt: on

BASE = "/v3/policies/{policy_id}/OS-ENDPOINT-POLICY"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of thing that a policy can be for."""

    path: str
    rules: str  # the end of the rules' names


KINDS = (
    Kind("/endpoints/{endpoint_id}", "endpoint"),
    Kind("/services/{service_id}", "service"),
    Kind("/services/{service_id}/regions/{region_id}", "region_and_service"),
)


def routes(kind: Kind) -> None:
    """The operations on policies for this kind of thing."""
    path, rule = BASE + kind.path, f"policy_association_for_{kind.rules}"

    @router.look(path, f"identity:check_{rule}", status=204)
    def check(
        policy_id: str, caller: Caller, kit: KitOf, endpoint_id: str = "", service_id: str = "", region_id: str = ""
    ) -> None:
        kit.policy.must(f"identity:check_{rule}", caller)
        with kit.database.reading() as session:
            policies.aimed(session, policy_id, _known(session, policy_id, Aim(endpoint_id, service_id, region_id)))

    @router.assign(path, f"identity:create_{rule}")
    def associate(
        policy_id: str, caller: Caller, kit: KitOf, endpoint_id: str = "", service_id: str = "", region_id: str = ""
    ) -> None:
        """In place of the policy that was for this before."""
        kit.policy.must(f"identity:create_{rule}", caller, {})
        with kit.database.transaction() as session:
            at = _known(session, policy_id, Aim(endpoint_id, service_id, region_id))
            policies.aim(session, policy_id, at)

    @router.remove(path, f"identity:delete_{rule}")
    def dissociate(
        policy_id: str, caller: Caller, kit: KitOf, endpoint_id: str = "", service_id: str = "", region_id: str = ""
    ) -> None:
        kit.policy.must(f"identity:delete_{rule}", caller, {})
        with kit.database.transaction() as session:
            at = _known(session, policy_id, Aim(endpoint_id, service_id, region_id))
            session.delete(policies.aimed(session, policy_id, at))


for one in KINDS:
    routes(one)


@router.look(BASE + "/endpoints", "identity:list_endpoints_for_policy")
def list_endpoints_of_policy(request: Request, policy_id: str, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    kit.policy.must("identity:list_endpoints_for_policy", caller)
    with kit.database.reading() as session:
        policies.known(session, policy_id)
        query = policies.endpoints_of(session, policy_id)
    return answer(request, kit, "endpoints", query, Endpoint.id, asked, partial(endpoint_api.all_shown, kit))


@router.look("/v3/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy", "identity:get_policy_for_endpoint")
def show_policy_of_endpoint(endpoint_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:get_policy_for_endpoint", caller)
    with kit.database.reading() as session:
        policy = policies.of_endpoint(session, catalog.known_endpoint(session, endpoint_id))
        return Json({"policy": policy_api.shown(kit, policy)})


def _known(session: Session, policy_id: str, at: Aim) -> Aim:
    """NotFound unless there are all of them."""
    policies.known(session, policy_id)
    checks: tuple[tuple[str, Callable[[Session, str], object]], ...] = (
        (at.endpoint_id, catalog.known_endpoint),
        (at.service_id, catalog.known_service),
        (at.region_id, catalog.known_region),
    )
    for named, check in checks:
        if named:
            check(session, named)
    return at
