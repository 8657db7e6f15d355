"""What a new cloud holds: roles and what they imply, the first projects and users, and its catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

DEFAULT_DOMAIN = "default"
ROLES = ("admin", "manager", "member", "reader", "service")
IMPLIED = (("admin", "manager"), ("manager", "member"), ("member", "reader"))
INTERFACES = ("public", "internal", "admin")


@dataclass(frozen=True, slots=True)
class Offer:
    """A service in the catalog; `path` is where the gateway has it."""

    type: str
    name: str
    path: str
    description: str


OFFERS = (
    Offer("identity", "keystone", "/identity/v3", "Pileus Identity"),
    Offer("compute", "nova", "/compute/v2.1", "Pileus Compute"),
    Offer("placement", "placement", "/placement", "Pileus Placement"),
    Offer("image", "glance", "/image/v2", "Pileus Image"),
)


@dataclass(frozen=True, slots=True)
class ServiceUser:
    """A user that one of Pileus's own processes logs in as, in project `service`."""

    name: str
    password: str = field(repr=False)
    roles: Sequence[str] = ("admin", "service")  # an agent on a host needs only "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """Done again, it changes what differs (passwords, addresses) and makes nothing twice."""

    admin_password: str = field(repr=False)
    demo_password: str = field(repr=False)
    service_users: Sequence[ServiceUser] = ()
    offers: Sequence[Offer] = OFFERS
    admin_name: str = "admin"
    demo_name: str = "demo"  # of the ordinary user and of its project
