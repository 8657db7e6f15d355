"""Do database, placement and hosts agree?  Read from the outside: SQL, libvirt and the agents' own files."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from common.db.database import Database
from tests.harness.clouds import Cloud
from tests.harness.files import files_below
from tests.harness.waiting import until


@dataclass(frozen=True, slots=True)
class Agreement:
    """What must be true of a cloud once its traffic has ended; `holds` gives its reconciliation time to make it so."""

    cloud: Cloud

    def holds(self, *, within_s: float = 120) -> None:
        database = Database(self.database_url())
        try:
            until(lambda: not self._complaints(database), within_s=within_s, every_s=2, what="agreement")
        except AssertionError as error:
            raise AssertionError(f"{error}: {'; '.join(self._complaints(database))}") from error
        finally:
            database.close()

    def _complaints(self, database: Database) -> list[str]:
        living, claims = self._living(database), self._claims(database)
        placed = {server for server, (host, _) in living.items() if host}
        found = self._sum_of_claims(database)
        if spare := claims - set(living):
            found.append(f"claims without a server: {names(spare)}")
        if missing := {server for server in placed if living[server][1] != "error"} - claims:
            found.append(f"servers without a claim: {names(missing)}")
        if unfinished := self._unfinished(database):
            found.append(f"unfinished sagas: {unfinished}")
        domains = {UUID(one) for one in self.cloud.domains()}
        if spare := domains - set(living):
            found.append(f"domains without a server: {names(spare)}")
        real = {
            server
            for server, (host, state) in living.items()
            if state == "active" and not (host or "").startswith("sim-")
        }
        if lost := real - domains:
            found.append(f"running servers without a domain: {names(lost)}")
        if files := self._files_without(set(living)):
            found.append(f"files left over: {files}")
        return found

    def _living(self, database: Database) -> dict[UUID, tuple[str | None, str]]:
        """Server -> host and state, of those that are not deleted."""
        with database.reading() as session:
            rows = session.execute(text("SELECT id, host, vm_state FROM servers WHERE deleted_at IS NULL"))
            return {as_uuid(row.id): (row.host, row.vm_state) for row in rows}

    def _claims(self, database: Database) -> set[UUID]:
        with database.reading() as session:
            return {as_uuid(row) for row in session.scalars(text("SELECT DISTINCT consumer_id FROM allocations"))}

    def _sum_of_claims(self, database: Database) -> list[str]:
        """Each inventory's `used` is the sum of its allocations."""
        query = """
            SELECT i.provider_id, i.resource_class, i.used, COALESCE(SUM(a.used), 0) AS held
            FROM inventories i LEFT JOIN allocations a
              ON a.provider_id = i.provider_id AND a.resource_class = i.resource_class
            GROUP BY i.provider_id, i.resource_class, i.used
        """
        with database.reading() as session:
            rows = session.execute(text(query)).all()
        return [f"{row.resource_class}: used {row.used}, held {row.held}" for row in rows if row.used != row.held]

    def _unfinished(self, database: Database) -> int:
        with database.reading() as session:
            query = text("SELECT COUNT(*) FROM sagas WHERE state IN ('running', 'undoing')")
            return int(session.scalar(query) or 0)

    def _files_without(self, living: set[UUID]) -> list[str]:
        """Disks and console logs below the data directory that belong to no server."""
        left = []
        for path in files_below(self.cloud.data):
            try:
                owner = UUID(path.name.split(".")[0])
            except ValueError:
                continue
            if owner not in living and "images" not in path.parts:
                left.append(path.name)
        return left

    def database_url(self) -> str:
        return str(tomllib.loads((self.cloud.data / "pileus.toml").read_text())["compute"]["database_url"])


def as_uuid(value: object) -> UUID:
    return value if isinstance(value, UUID) else UUID(str(value))


def names(ids: set[UUID]) -> str:
    return ", ".join(sorted(str(one)[:8] for one in ids))
