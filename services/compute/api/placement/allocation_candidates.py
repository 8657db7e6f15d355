"""Who could give what is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import Request, Response

from common.errors import InvalidInput
from common.http.identity import Caller
from common.http.operations import operation
from services.compute.api.placement.asking import Version, answer, between, pairs_of, router
from services.compute.api.placement.kit import KitOf, Tx
from services.compute.core.allocation_candidates import Candidate, Provider, Question
from services.compute.core.placement_requests import SINCE, question_of

routes = router()
KEYED_SINCE, TRAITS_SINCE, ALL_CLASSES_SINCE, NESTED_SINCE, MAPPINGS_SINCE = 12, 17, 27, 29, 34


@routes.get("/allocation_candidates", dependencies=[between(10)])
@operation("placement:allocation_candidates:list", filters=SINCE)
def list_candidates(request: Request, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Each is what a PUT of allocations takes; and of each provider in their trees, what it has."""
    kit.must("allocation_candidates:list", caller)
    question = question_of(pairs_of(request), version)
    with kit.reading() as tx:
        _must_know(tx, question)
        search, found = tx.inventories.search(question)
    summarized = search.trees_of(found)
    if version < NESTED_SINCE:
        found = [one for one in found if search.is_flat(one)]
        taken = {provider for one in found for provider in one.amounts}
        if search.has_trees:
            summarized = [one for one in summarized if one.id in taken]
    told = {
        "allocation_requests": [_request(one, version) for one in found],
        "provider_summaries": _summaries(summarized, question, version),
    }
    return answer(told, version)


def _must_know(tx: Tx, question: Question) -> None:
    if (name := tx.classes.unknown(sorted(question.resources))) is not None:
        raise InvalidInput(f"Invalid resource class in resources parameter: No such resource class {name[:255]}.")
    traits = set(question.root_required | question.root_forbidden)
    for group in question.groups.values():
        traits |= group.forbidden.union(*group.required)
    if traits:
        tx.traits.must_know(traits)


def _request(one: Candidate, version: int) -> dict[str, Any]:
    if version < KEYED_SINCE:
        parts = [
            {"resource_provider": {"uuid": str(provider)}, "resources": dict(amounts)}
            for provider, amounts in one.amounts.items()
        ]
        return {"allocations": parts}
    told: dict[str, Any] = {
        "allocations": {str(provider): {"resources": dict(amounts)} for provider, amounts in one.amounts.items()}
    }
    if version >= MAPPINGS_SINCE:
        told["mappings"] = {suffix: [str(who) for who in providers] for suffix, providers in one.mappings.items()}
    return told


def _summaries(providers: Iterable[Provider], question: Question, version: int) -> dict[str, Any]:
    return {str(one.id): _summary(one, question, version) for one in providers}


def _summary(one: Provider, question: Question, version: int) -> dict[str, Any]:
    asked = set(one.stocks) if version >= ALL_CLASSES_SINCE else question.resources
    resources = {
        name: {"capacity": stock.capacity, "used": stock.used} for name, stock in one.stocks.items() if name in asked
    }
    told: dict[str, Any] = {"resources": resources}
    if version >= TRAITS_SINCE:
        told["traits"] = sorted(one.traits)
    if version >= NESTED_SINCE:
        told["parent_provider_uuid"] = str(one.parent_id) if one.parent_id else None
        told["root_provider_uuid"] = str(one.root_id)
    return told
