"""Limits and what is used of them: the one place that counts, within the transaction that adds.

A limit is the user's own (if any), else the project's, else class "default"'s, else the setting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, literal, select, text, union_all
from sqlalchemy.orm import Session

from common.errors import OverQuota
from services.compute.core.injected_files import InjectedFile, must_be_few_files
from services.compute.core.quotas import COUNTED, Account, Amount, fitting, is_within, must_fit
from services.compute.db.tables import (
    KeypairRow,
    QuotaClassRow,
    QuotaRow,
    ServerGroupMemberRow,
    ServerGroupRow,
    ServerRow,
    UserQuotaRow,
)

DEFAULT_CLASS = "default"

# Built once: each new server asks these.
_OF_PROJECT = union_all(
    select(literal(1).label("rank"), QuotaClassRow.resource, QuotaClassRow.most).where(
        QuotaClassRow.name == DEFAULT_CLASS
    ),
    select(literal(2), QuotaRow.resource, QuotaRow.most).where(QuotaRow.project_id == bindparam("project_id")),
    select(literal(3), UserQuotaRow.resource, UserQuotaRow.most).where(
        UserQuotaRow.project_id == bindparam("project_id"), UserQuotaRow.user_id == bindparam("user_id")
    ),
).order_by("rank")
_USED = select(
    func.count(),
    func.coalesce(func.sum(ServerRow.vcpus), 0),
    func.coalesce(func.sum(ServerRow.memory_mib), 0),
).where(ServerRow.project_id == bindparam("project_id"), ServerRow.deleted_at.is_(None))
_USED_BY = _USED.where(ServerRow.user_id == bindparam("user_id"))


class Quotas:
    """Within one session; the caller commits.  `settings` has every resource with its limit in the settings."""

    def __init__(self, session: Session, settings: Mapping[str, int]) -> None:
        self._session, self._settings = session, settings

    # ------------------------------------------------------------------ limits

    def defaults(self) -> dict[str, int]:
        """Resource -> what a project may have of it that was given nothing else."""
        return self.of_class(DEFAULT_CLASS)

    def of_class(self, name: str) -> dict[str, int]:
        query = select(QuotaClassRow.resource, QuotaClassRow.most).where(QuotaClassRow.name == name)
        return self._over(self._settings, self._session.execute(query).all())

    def of_project(self, project_id: str, user_id: str | None = None) -> dict[str, int]:
        """Resource -> how much of it the project may have, or this user within it."""
        project, user = self._both(project_id, user_id)
        return project if user_id is None else user

    def _both(self, project_id: str, user_id: str | None) -> tuple[dict[str, int], dict[str, int]]:
        """The project's limits and the user's: the same where the user has none."""
        asked = {"project_id": project_id, "user_id": user_id}
        rows = self._session.connection().execute(_OF_PROJECT, asked).all()
        project = self._over(self._settings, [(name, most) for rank, name, most in rows if rank < 3])
        return project, self._over(project, [(name, most) for rank, name, most in rows if rank == 3])

    def _over(self, below: Mapping[str, int], rows: Any) -> dict[str, int]:
        return dict(below) | {name: most for name, most in rows if name in self._settings}

    def change(self, project_id: str, most: Mapping[str, int], user_id: str | None = None) -> None:
        if user_id is not None:
            self._replace(UserQuotaRow, {"project_id": project_id, "user_id": user_id}, most)
        else:
            self._replace(QuotaRow, {"project_id": project_id}, most)

    def change_class(self, name: str, most: Mapping[str, int]) -> None:
        self._replace(QuotaClassRow, {"name": name}, most)

    def forget(self, project_id: str, user_id: str | None = None) -> None:
        """Back to the defaults: of a user, or of a project with all its users."""
        users = delete(UserQuotaRow).where(UserQuotaRow.project_id == project_id)
        if user_id is not None:
            self._session.execute(users.where(UserQuotaRow.user_id == user_id))
            return
        self._session.execute(users)
        self._session.execute(delete(QuotaRow).where(QuotaRow.project_id == project_id))

    def _replace(self, table: Any, of: Mapping[str, str], most: Mapping[str, int]) -> None:
        mine = [getattr(table, column) == value for column, value in of.items()]
        self._session.execute(delete(table).where(*mine, table.resource.in_(list(most))))
        if most:
            self._session.execute(insert(table), [{**of, "resource": name, "most": one} for name, one in most.items()])

    # ------------------------------------------------------------------ use

    def take_turn(self, owner: str) -> None:
        """Let no other transaction add to this project or user until this one ends.  SQLite has one writer anyway."""
        if self._session.get_bind().dialect.name == "postgresql":
            self._session.execute(
                text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": f"compute.quota.{owner}"}
            )

    def servers_used(self, project_id: str, user_id: str | None = None) -> Amount:
        """What the project's servers, or one user's of them, take; those being deleted included."""
        asked = {"project_id": project_id} | ({} if user_id is None else {"user_id": user_id})
        return Amount(*map(int, self._session.connection().execute(_USED_BY if user_id else _USED, asked).one()))

    def used(self, project_id: str, user_id: str | None = None) -> dict[str, int]:
        """Resource -> use, of everything that projects are charged for."""
        servers = self.servers_used(project_id, user_id)
        return {name: getattr(servers, name) for name in COUNTED} | {"server_groups": self._groups(project_id, user_id)}

    def _groups(self, project_id: str, user_id: str | None = None) -> int:
        query = select(func.count()).select_from(ServerGroupRow).where(ServerGroupRow.project_id == project_id)
        if user_id is not None:
            query = query.where(ServerGroupRow.user_id == user_id)
        return self._session.scalar(query) or 0

    # ------------------------------------------------------------------ both

    def admit_servers(self, one: Amount, least: int, most: int, *, project_id: str, user_id: str) -> int:
        """How many such servers may be added now; nobody else adds any before the commit.  OverQuota"""
        return fitting(least, most, one, *self._accounts(project_id, user_id))

    def admit_growth(self, by: Amount, *, project_id: str, user_id: str) -> None:
        """The same for servers that become larger, or count again.  OverQuota"""
        must_fit(by, *self._accounts(project_id, user_id))

    def _accounts(self, project_id: str, user_id: str) -> list[Account]:
        self.take_turn(project_id)
        project, user = self._both(project_id, user_id)
        accounts = [Account(self.servers_used(project_id), project)]
        if user != project:
            accounts.append(Account(self.servers_used(project_id, user_id), user))
        return accounts

    def admit_keypair(self, *, project_id: str, user_id: str) -> None:
        """OverQuota.  Key pairs are users', the limit is that of the project where they are at work."""
        self.take_turn(user_id)
        has = self._session.scalar(select(func.count()).where(KeypairRow.user_id == user_id)) or 0
        if not is_within(has + 1, self.of_project(project_id, user_id)["key_pairs"]):
            raise OverQuota("Quota exceeded, too many key pairs.")

    def admit_server_group(self, *, project_id: str, user_id: str) -> None:
        """OverQuota"""
        self.take_turn(project_id)
        if not is_within(self._groups(project_id) + 1, self.of_project(project_id)["server_groups"]):
            raise OverQuota("Quota exceeded, too many server groups.")

    def admit_members(self, group_id: Any, count: int, *, project_id: str, user_id: str) -> None:
        """OverQuota.  Each user's servers in a group count by themselves, as in Nova."""
        query = (
            select(func.count())
            .select_from(ServerGroupMemberRow)
            .join(ServerRow, ServerRow.id == ServerGroupMemberRow.server_id)
            .where(
                ServerGroupMemberRow.group_id == group_id,
                ServerRow.user_id == user_id,
                ServerRow.deleted_at.is_(None),
            )
        )
        has = self._session.scalar(query) or 0
        if not is_within(has + count, self.of_project(project_id, user_id)["server_group_members"]):
            raise OverQuota("Quota exceeded, too many servers in group")

    def must_be_few_files(self, files: Sequence[InjectedFile], *, project_id: str, user_id: str) -> None:
        """OverQuota if a server may not bring so many files, or such large ones."""
        must_be_few_files(files, self.of_project(project_id, user_id))

    def must_be_few(self, metadata: Mapping[str, str], *, project_id: str) -> None:
        """OverQuota if a server may not have so many items."""
        most = self.of_project(project_id)["metadata_items"]
        if not is_within(len(metadata), most):
            raise OverQuota(f"Maximum number of metadata items exceeds {most}")
