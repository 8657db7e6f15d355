"""Write a `Bootstrap` into the database: what is missing is made, what differs is changed, nothing is made twice."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from common.db.types import utc_now
from services.identity.core.bootstrap import DEFAULT_DOMAIN, IMPLIED, INTERFACES, ROLES, Bootstrap, Offer
from services.identity.core.passwords import Passwords
from services.identity.core.scopes import SYSTEM, Scope
from services.identity.db import grants
from services.identity.db.grants import Grant
from services.identity.db.tables import Domain, Endpoint, ImpliedRole, Project, Region, Role, Service, User

PasswordChanged = Callable[[Session, str], None]
"""Told the id of a user whose password changed, in the same transaction."""


def write(
    session: Session,
    wanted: Bootstrap,
    *,
    passwords: Passwords,
    public_url: str,
    region: str,
    password_changed: PasswordChanged,
) -> None:
    """Everything that a new cloud starts with."""
    _domain(session)
    roles = {name: _role(session, name) for name in ROLES}
    for prior, implied in IMPLIED:
        session.merge(ImpliedRole(prior_id=roles[prior], implied_id=roles[implied]))
    admin_project = _project(session, "admin", "Bootstrap project for initializing the cloud.")
    service_project = _project(session, "service", "The platform's own processes.")
    demo_project = _project(session, wanted.demo_name, "An ordinary project to start with.")

    def user(name: str, password: str) -> str:
        return _user(session, name, password, passwords, password_changed)

    admin = user(wanted.admin_name, wanted.admin_password)
    demo = user(wanted.demo_name, wanted.demo_password)
    given = [(admin, Scope.project(admin_project), "admin"), (admin, SYSTEM, "admin")]
    given += [(demo, Scope.project(demo_project), name) for name in ("member", "reader")]
    for one in wanted.service_users:
        given += [(user(one.name, one.password), Scope.project(service_project), name) for name in one.roles]
    for user_id, scope, role in given:
        grants.give(session, Grant("user", user_id, scope), roles[role])
    _catalog(session, wanted, public_url.rstrip("/"), region)


def _domain(session: Session) -> None:
    if session.get(Domain, DEFAULT_DOMAIN) is None:
        session.add(
            Domain(
                id=DEFAULT_DOMAIN, name="Default", description="The default domain", enabled=True, options={}, extra={}
            )
        )
        session.flush()


def _role(session: Session, name: str) -> str:
    found = session.scalars(select(Role).where(Role.name == name, Role.domain_id.is_(None))).first()
    if found is None:
        found = Role(id=uuid4().hex, name=name, options={"immutable": True}, extra={})
        session.add(found)
        session.flush()
    return found.id


def _project(session: Session, name: str, description: str) -> str:
    found = session.scalars(select(Project).where(Project.domain_id == DEFAULT_DOMAIN, Project.name == name)).first()
    if found is None:
        place = {"domain_id": DEFAULT_DOMAIN, "parent_id": DEFAULT_DOMAIN}
        found = Project(id=uuid4().hex, name=name, description=description, enabled=True, options={}, extra={}, **place)
        session.add(found)
        session.flush()
    return found.id


def _user(session: Session, name: str, password: str, passwords: Passwords, changed: PasswordChanged) -> str:
    found = session.scalars(select(User).where(User.domain_id == DEFAULT_DOMAIN, User.name == name)).first()
    if found is None:
        found = _new_user(name)
        found.password_hash, found.password_set_at = passwords.hash(password), utc_now()
        session.add(found)
        session.flush()
    elif not passwords.matches(found.password_hash, password):
        found.password_hash, found.password_set_at = passwords.hash(password), utc_now()
        changed(session, found.id)
    return found.id


def _new_user(name: str) -> User:
    return User(
        id=uuid4().hex,
        domain_id=DEFAULT_DOMAIN,
        name=name,
        enabled=True,
        must_change_password=False,
        created_at=utc_now(),
        options={},
        extra={},
    )


def _catalog(session: Session, wanted: Bootstrap, public_url: str, region: str) -> None:
    if session.get(Region, region) is None:
        session.add(Region(id=region, description="", extra={}))
        session.flush()
    for offer in wanted.offers:
        service_id = _service(session, offer)
        for interface in INTERFACES:
            _endpoint(session, service_id, region, interface, public_url + offer.path)


def _service(session: Session, offer: Offer) -> str:
    found = session.scalars(select(Service).where(Service.type == offer.type, Service.name == offer.name)).first()
    if found is None:
        found = Service(
            id=uuid4().hex, type=offer.type, name=offer.name, description=offer.description, enabled=True, extra={}
        )
        session.add(found)
        session.flush()
    return found.id


def _endpoint(session: Session, service_id: str, region: str, interface: str, url: str) -> None:
    same = Endpoint.service_id == service_id, Endpoint.region_id == region, Endpoint.interface == interface
    found = session.scalars(select(Endpoint).where(*same)).first()
    if found is None:
        found = Endpoint(
            id=uuid4().hex, service_id=service_id, region_id=region, interface=interface, enabled=True, extra={}
        )
        session.add(found)
    found.url = url
