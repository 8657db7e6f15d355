"""Failed log-ins slow down whoever guesses, for names that exist and for those that do not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from common.errors import Unavailable
from services.identity.core.lockout import Lockout
from services.identity.core.passwords import Passwords
from services.identity.db.tables import LoginFailure, User
from tests.unit.identity.worlds import World

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_wait_doubles_up_to_its_longest() -> None:
    lockout = Lockout(after=3, first_s=1, longest_s=10)

    waits = [lockout.wait(failures).total_seconds() for failures in (0, 3, 4, 5, 6, 7, 8, 10_000)]

    assert waits == [0, 0, 1, 2, 4, 8, 10, 10]


def test_a_lock_ends() -> None:
    lockout = Lockout(after=3, first_s=1, longest_s=10)

    assert lockout.is_locked(failures=4, last_at=NOW, now=NOW + timedelta(seconds=0.9))
    assert not lockout.is_locked(failures=4, last_at=NOW, now=NOW + timedelta(seconds=1.1))


def test_a_failure_free_of_charge_locks_nobody_who_came_just_before_it() -> None:
    lockout = Lockout(after=3, first_s=1, longest_s=10)

    assert not lockout.is_locked(failures=1, last_at=NOW, now=NOW - timedelta(seconds=0.1))


def _failures(world: World) -> list[int]:
    with world.kit.database.reading() as session:
        return list(session.scalars(select(LoginFailure.failures)))


def _long_ago(world: World) -> None:
    with world.kit.database.transaction() as session:
        session.execute(update(LoginFailure).values(last_at=NOW))


def test_after_too_many_failures_the_right_password_has_to_wait(world: World) -> None:
    tries = world.kit.settings.lockout_after + 6  # each waited out but the last
    for _ in range(tries):
        assert world.log_in("demo", "wrong").status_code == 401
        _long_ago(world)
    assert world.log_in("demo", "wrong").status_code == 401

    locked = world.log_in("demo", "demo-secret")
    _long_ago(world)
    later = world.log_in("demo", "demo-secret")

    assert locked.status_code == 401 and later.status_code == 201
    assert _failures(world) == []


@pytest.mark.parametrize("name", ["demo", "nobody"])
def test_failures_are_counted_the_same_for_a_name_that_nobody_has(world: World, name: str) -> None:
    for _ in range(3):
        world.log_in(name, "wrong")

    assert _failures(world) == [3]


def test_one_users_lock_is_not_anothers(world: World) -> None:
    for _ in range(world.kit.settings.lockout_after + 3):
        world.log_in("demo", "wrong")

    assert world.log_in("admin", "admin-secret").status_code == 201


def test_a_hash_with_other_numbers_is_replaced_at_the_next_login(world: World) -> None:
    older = Passwords(memory_kib=32, passes=1, lanes=1, at_once=1, wait_s=1, longest=100).hash("demo-secret")
    with world.kit.database.transaction() as session:
        session.execute(update(User).where(User.name == "demo").values(password_hash=older))

    assert world.log_in("demo", "demo-secret").status_code == 201

    with world.kit.database.reading() as session:
        stored = session.scalars(select(User.password_hash).where(User.name == "demo")).one()
    assert stored != older and stored is not None and "m=64" in stored
    assert world.log_in("demo", "demo-secret").status_code == 201


class Watched:
    """A hasher that notes what it compares with."""

    def __init__(self, passwords: Passwords) -> None:
        self._real, self.stored = passwords._hasher, list[str]()

    def verify(self, stored: str, password: str) -> bool:
        self.stored.append(stored)
        return self._real.verify(stored, password)


def test_comparing_with_nobody_computes_a_hash_too(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(memory_kib=64, passes=1, lanes=1, at_once=1, wait_s=1, longest=100)
    monkeypatch.setattr(passwords, "_hasher", watched := Watched(passwords))

    assert not passwords.matches(None, "x")
    assert len(watched.stored) == 1 and watched.stored[0].startswith("$argon2id$")


def test_who_waits_too_long_for_a_turn_to_hash_is_told_to_come_back() -> None:
    passwords = Passwords(memory_kib=64, passes=1, lanes=1, at_once=1, wait_s=0.01, longest=100)

    with passwords.turn(), pytest.raises(Unavailable), passwords.turn():
        pass
    with passwords.turn():
        pass
