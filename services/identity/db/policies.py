"""Policy documents, and the endpoints that they are for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, and_, delete, exists, or_, select
from sqlalchemy.orm import Session

from common.errors import NotFound
from services.identity.db import regions
from services.identity.db.cloud_tables import PolicyAssociation, PolicyDocument
from services.identity.db.tables import Endpoint


@dataclass(frozen=True, slots=True)
class Aim:
    """What a policy is for: one endpoint, a service, or a service in a region."""

    endpoint_id: str = ""
    service_id: str = ""
    region_id: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        return self.endpoint_id, self.service_id, self.region_id


def known(session: Session, policy_id: str) -> PolicyDocument:
    """NotFound, in Keystone's words."""
    if (policy := session.get(PolicyDocument, policy_id)) is None:
        raise NotFound(f"Could not find policy: {policy_id}.")
    return policy


def remove(session: Session, policy: PolicyDocument) -> None:
    session.execute(delete(PolicyAssociation).where(PolicyAssociation.policy_id == policy.id))
    session.delete(policy)


def aim(session: Session, policy_id: str, at: Aim) -> None:
    """In place of the policy that was for this before.  Twice is once."""
    found = session.get(PolicyAssociation, at.key)
    if found is None:
        endpoint_id, service_id, region_id = at.key
        found = PolicyAssociation(endpoint_id=endpoint_id, service_id=service_id, region_id=region_id)
        session.add(found)
    found.policy_id = policy_id


def aimed(session: Session, policy_id: str, at: Aim) -> PolicyAssociation:
    """NotFound"""
    found = session.get(PolicyAssociation, at.key)
    if found is None or found.policy_id != policy_id:
        raise NotFound("Could not find policy association.")
    return found


def of_endpoint(session: Session, endpoint: Endpoint) -> PolicyDocument:
    """Its own, else that of its service in the nearest region around it, else that of its service.  NotFound"""
    for one in _aims(endpoint, regions.outwards(session, endpoint.region_id)):
        if (found := session.get(PolicyAssociation, one.key)) is not None:
            return known(session, found.policy_id)
    raise NotFound(f"No policy is associated with endpoint {endpoint.id}.")


def _aims(endpoint: Endpoint, around: Sequence[str]) -> list[Aim]:
    """What a policy for this endpoint may be for, the nearest first; `around` are its regions, outwards."""
    of_service = [Aim(service_id=endpoint.service_id, region_id=one) for one in around]
    return [Aim(endpoint_id=endpoint.id), *of_service, Aim(service_id=endpoint.service_id)]


def endpoints_of(session: Session, policy_id: str) -> Select[Endpoint]:
    """The endpoints for which `of_endpoint` finds this policy, in as many queries however many there are."""
    tied = exists().where(
        or_(
            PolicyAssociation.endpoint_id == Endpoint.id,
            and_(PolicyAssociation.endpoint_id == "", PolicyAssociation.service_id == Endpoint.service_id),
        )
    )
    policy_of = {
        (one.endpoint_id, one.service_id, one.region_id): one.policy_id
        for one in session.scalars(select(PolicyAssociation))
    }
    parents = regions.parents(session)
    found = []
    for endpoint in session.scalars(select(Endpoint).where(tied)):
        near = (policy_of.get(aim.key) for aim in _aims(endpoint, regions.line(endpoint.region_id, parents)))
        if next((one for one in near if one is not None), None) == policy_id:
            found.append(endpoint.id)
    return select(Endpoint).where(Endpoint.id.in_(found))
