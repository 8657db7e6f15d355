"""The compute service's tables.  Placement's are in `placement_tables.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, validates

from common.db.types import Json, Table, UtcDateTime
from common.saga.tables import SagaColumns, SagaEventColumns, SagaTables


class ComputeTable(Table):
    """Root of all tables of this service."""

    __abstract__ = True


class ServerSaga(SagaColumns, ComputeTable):
    """Accepted work on a server; `resource_id` is the server's."""


class ServerSagaEvent(SagaEventColumns, ComputeTable):
    """One step of such work: what os-instance-actions shows."""


SAGAS = SagaTables(ServerSaga, ServerSagaEvent)


class FlavorRow(ComputeTable):
    """A size of server.  A deleted flavor stays: servers show what they were made with from their own copy."""

    __tablename__ = "flavors"

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(255), unique=True)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    description: Mapped[str | None] = mapped_column(Text)
    memory_mib: Mapped[int]
    vcpus: Mapped[int]
    root_gib: Mapped[int]
    ephemeral_gib: Mapped[int] = mapped_column(default=0)
    swap_mib: Mapped[int] = mapped_column(default=0)
    rxtx_factor: Mapped[float] = mapped_column(default=1.0)
    is_public: Mapped[bool] = mapped_column(default=True)
    is_disabled: Mapped[bool] = mapped_column(default=False)
    extra_specs: Mapped[Any] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class FlavorAccessRow(ComputeTable):
    """A project that may use a flavor which is not public."""

    __tablename__ = "flavor_access"

    flavor_id: Mapped[str] = mapped_column(ForeignKey("flavors.id", ondelete="CASCADE"), primary_key=True)
    project_id: Mapped[str] = mapped_column(String(64), primary_key=True)


class KeypairRow(ComputeTable):
    """A user's public key.  The private one is shown once, when it is generated, and kept nowhere."""

    __tablename__ = "keypairs"
    __table_args__ = (UniqueConstraint("user_id", "name"),)

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    user_id: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(16), default="ssh")  # "ssh" or "x509"
    fingerprint: Mapped[str] = mapped_column(String(255))
    public_key: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


ALIVE, GONE = _where("deleted_at IS NULL"), _where("deleted_at IS NOT NULL")


def _of_flavor(name: str) -> Callable[[Any], Any]:
    return lambda context: context.get_current_parameters()["flavor"][name]


class ServerRow(ComputeTable):
    """A server.  Deleted ones stay for a while (`deleted_at`), so that their timeline can be read."""

    __tablename__ = "servers"
    __table_args__ = (
        # Each kind of list, within a project and for operators over all.  Partial ones, since PostgreSQL does not see that
        # rows of an index are in order where an earlier column is null.
        # The first has what a project's servers are mostly filtered by, so that no row need be read that does not pass.
        Index("ix_servers_project", "project_id", "created_at", "id", "image_id", "flavor_id", "name", **ALIVE),
        Index("ix_servers_all", "created_at", "id", **ALIVE),
        Index("ix_servers_state", "project_id", "vm_state", "created_at", "id", **ALIVE),
        Index("ix_servers_state_all", "vm_state", "created_at", "id", **ALIVE),
        Index("ix_servers_name", "project_id", "name", "id", **ALIVE),
        Index("ix_servers_name_all", "name", "id", **ALIVE),
        Index("ix_servers_host", "host", "created_at", "id", **ALIVE),
        Index("ix_servers_changed", "project_id", "updated_at"),
        Index("ix_servers_changed_all", "updated_at"),
        Index("ix_servers_deleted", "deleted_at", **GONE),
        # Has all that quotas count, so that no row need be read.
        Index("ix_servers_counted", "project_id", "deleted_at", "user_id", "vcpus", "memory_mib"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(String(64))
    user_id: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(255))
    hostname: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(String(255))

    vm_state: Mapped[str] = mapped_column(String(32))  # core/states.py: building, active, stopped, error, deleted
    task_state: Mapped[str | None] = mapped_column(String(32))
    power_state: Mapped[int] = mapped_column(default=0)
    fault: Mapped[Any | None] = mapped_column(Json)  # {"code", "message", "details", "created"} while in error

    image_id: Mapped[UUID | None]
    image: Mapped[Any] = mapped_column(Json)  # what was booted: sha512, size_bytes, disk_format, properties
    flavor: Mapped[Any] = mapped_column(
        Json
    )  # copy: id, name, vcpus, memory_mib, root_gib, ephemeral_gib, swap_mib, extra_specs
    flavor_id: Mapped[str] = mapped_column(String(255), default=_of_flavor("id"))  # and these, where an index has them
    vcpus: Mapped[int] = mapped_column(default=_of_flavor("vcpus"))
    memory_mib: Mapped[int] = mapped_column(default=_of_flavor("memory_mib"))
    local_disks: Mapped[Any | None] = mapped_column(
        Json
    )  # of ephemeral space and swap, as the request named them: core/guests.py, BlankDisk; None: as its flavor has them
    key_name: Mapped[str | None] = mapped_column(String(255))
    public_key: Mapped[str | None] = mapped_column(Text)
    user_data: Mapped[str | None] = mapped_column(Text)  # base64, as given
    files: Mapped[Any | None] = mapped_column(Json)  # that the request brought along: core/injected_files.py
    has_config_drive: Mapped[bool] = mapped_column(default=False)
    attributes: Mapped[Any] = mapped_column(Json)  # metadata of the user: key -> value
    tags: Mapped[Any] = mapped_column(Json)
    disk_config: Mapped[str] = mapped_column(String(8), default="MANUAL")
    access_ipv4: Mapped[str | None] = mapped_column(String(64))
    access_ipv6: Mapped[str | None] = mapped_column(String(64))
    is_locked: Mapped[bool] = mapped_column(default=False)
    locked_by: Mapped[str | None] = mapped_column(String(16))  # "owner" or "admin", while it is locked
    locked_reason: Mapped[str | None] = mapped_column(String(255))
    sealed_password: Mapped[str | None] = mapped_column(
        Text
    )  # what the guest made of its password, for its key's owner
    before: Mapped[Any | None] = mapped_column(Json)  # what a resize, rescue or shelving needs to come back
    waits_since: Mapped[datetime | None] = mapped_column(
        UtcDateTime
    )  # in a state that ends by itself: resized, soft-deleted

    wanted_zone: Mapped[str | None] = mapped_column(String(255))  # the zone asked for, also "zone:host" of an admin
    hints: Mapped[Any] = mapped_column(Json)
    host: Mapped[str | None] = mapped_column(String(255))
    zone: Mapped[str | None] = mapped_column(String(255))  # of the host
    reservation_id: Mapped[str] = mapped_column(String(32))
    launch_index: Mapped[int] = mapped_column(default=0)
    admin_password: Mapped[str | None] = mapped_column(Text)  # only until the guest was made with it

    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    launched_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    terminated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @validates("flavor")
    def _keep_in_columns(self, _: str, flavor: Mapping[str, Any]) -> Mapping[str, Any]:
        self.flavor_id, self.vcpus, self.memory_mib = flavor["id"], flavor["vcpus"], flavor["memory_mib"]
        return flavor


class MigrationRow(ComputeTable):
    """A move of a server to another host, or to another size: what os-migrations lists."""

    __tablename__ = "migrations"
    __table_args__ = (Index("ix_migrations_all", "created_at", "number"), Index("ix_migrations_server", "server_id"))

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    id: Mapped[UUID] = mapped_column(unique=True)
    server_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(String(32))  # "resize"
    status: Mapped[str] = mapped_column(String(32))
    source: Mapped[str] = mapped_column(String(255))
    destination: Mapped[str] = mapped_column(String(255))
    destination_address: Mapped[str | None] = mapped_column(String(64))
    old_flavor: Mapped[int]  # number of the flavor; 0: it was gone
    new_flavor: Mapped[int]
    project_id: Mapped[str] = mapped_column(String(64))
    user_id: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ConsoleTokenRow(ComputeTable):
    """Leave to open one console once, given to one user.  The token itself is kept nowhere, only its hash."""

    __tablename__ = "console_tokens"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)  # SHA-256, hex
    server_id: Mapped[UUID]
    host: Mapped[str] = mapped_column(String(255))
    launched_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # with the host, which guest of the server it was
    kind: Mapped[str] = mapped_column(String(16))  # core/consoles.py
    console_type: Mapped[str] = mapped_column(String(32))  # "novnc", "spice-html5", "serial"
    caller: Mapped[Any] = mapped_column(Json)  # claims of the token that asked: what ends it ends the console
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ServiceRow(ComputeTable):
    """A process of the compute service as os-services shows it; its heartbeat says whether it is up."""

    __tablename__ = "services"
    __table_args__ = (UniqueConstraint("host", "binary"),)

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    id: Mapped[UUID] = mapped_column(unique=True)
    host: Mapped[str] = mapped_column(String(255))
    binary: Mapped[str] = mapped_column(
        String(64)
    )  # "nova-compute", "nova-conductor", "nova-scheduler": names that clients look for
    zone: Mapped[str] = mapped_column(String(255))
    is_disabled: Mapped[bool] = mapped_column(default=False)
    disabled_reason: Mapped[str | None] = mapped_column(String(255))
    is_forced_down: Mapped[bool] = mapped_column(default=False)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class HostRow(ComputeTable):
    """A hypervisor: what its agent told of it when it registered.  Its id is its resource provider's, too."""

    __tablename__ = "hosts"

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    id: Mapped[UUID] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    facts: Mapped[Any] = mapped_column(Json)  # core/hypervisors.py: HostFacts
    registered_at: Mapped[datetime] = mapped_column(UtcDateTime)


class QuotaRow(ComputeTable):
    """A project's own limit where it differs from the default; -1 is unlimited."""

    __tablename__ = "quotas"

    project_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    resource: Mapped[str] = mapped_column(String(64), primary_key=True)  # "instances", "cores", "ram", "key_pairs", …
    most: Mapped[int] = mapped_column(BigInteger)


class UserQuotaRow(ComputeTable):
    """One user's limit within a project, where it is narrower than the project's."""

    __tablename__ = "user_quotas"

    project_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    resource: Mapped[str] = mapped_column(String(64), primary_key=True)
    most: Mapped[int] = mapped_column(BigInteger)


class QuotaClassRow(ComputeTable):
    """Limits by a name of their own.  Class "default" is what projects have that were given nothing else."""

    __tablename__ = "quota_classes"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    resource: Mapped[str] = mapped_column(String(64), primary_key=True)
    most: Mapped[int] = mapped_column(BigInteger)


class PastServerRow(ComputeTable):
    """What usage reports need of a deleted server after its own row was dropped."""

    __tablename__ = "past_servers"
    __table_args__ = (Index("ix_past_servers_project", "project_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(255))
    flavor: Mapped[Any] = mapped_column(Json)  # as in servers
    launched_at: Mapped[datetime] = mapped_column(UtcDateTime)
    terminated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ServerGroupRow(ComputeTable):
    """Servers that should share a host, or not."""

    __tablename__ = "server_groups"
    __table_args__ = (Index("ix_server_groups_project", "project_id", "number"),)

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    id: Mapped[UUID] = mapped_column(unique=True)
    project_id: Mapped[str] = mapped_column(String(64))
    user_id: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(255))
    policy: Mapped[str] = mapped_column(String(32))  # core/server_groups.py
    rules: Mapped[Any] = mapped_column(Json)  # {"max_server_per_host": 2}
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ServerGroupMemberRow(ComputeTable):
    """A server is in one group at most, from its create to its end."""

    __tablename__ = "server_group_members"

    server_id: Mapped[UUID] = mapped_column(primary_key=True)
    group_id: Mapped[UUID] = mapped_column(ForeignKey("server_groups.id", ondelete="CASCADE"), index=True)


class AggregateRow(ComputeTable):
    """A set of hosts with metadata; `availability_zone` in it makes them a zone."""

    __tablename__ = "aggregates"

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    id: Mapped[UUID] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    attributes: Mapped[Any] = mapped_column(Json)  # its metadata: key -> value
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AggregateHostRow(ComputeTable):
    """A host may be in any number of aggregates, but in one zone."""

    __tablename__ = "aggregate_hosts"

    aggregate: Mapped[int] = mapped_column(ForeignKey("aggregates.number", ondelete="CASCADE"), primary_key=True)
    host: Mapped[str] = mapped_column(String(255), primary_key=True, index=True)
