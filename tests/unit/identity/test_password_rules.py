"""Passwords: what they must be, how long they are good for, and how their owners change them."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import func, select, update

from common.db.types import utc_now
from services.identity.db.tables import FormerPassword, User
from services.identity.settings import IdentitySettings
from tests.unit.identity.worlds import World, a_user, with_settings


def change(world: World, user_id: str, old: str, new: str) -> Any:
    body = {"user": {"original_password": old, "password": new}}
    return world.http.post(f"/v3/users/{user_id}/password", json=body)


def reset(world: World, user_id: str, new: str) -> Any:
    return world.http.patch(f"/v3/users/{user_id}", headers=world.as_(), json={"user": {"password": new}})


def message(answer: Any) -> str:
    return str(answer.json()["error"]["message"])


def test_owners_change_their_password_and_their_tokens_end(world: World) -> None:
    user, token = world.id_of("users", "demo"), world.token("demo")

    answer = change(world, user, "demo-secret", "another")

    assert answer.status_code == 204 and answer.content == b""
    assert world.validate(token).status_code == 404
    assert world.log_in("demo", "demo-secret").status_code == 401
    assert world.log_in("demo", "another").status_code == 201


@pytest.mark.parametrize("user", ["demo", "none"])
def test_a_wrong_original_password_and_an_unknown_user_are_answered_alike(world: World, user: str) -> None:
    user_id = world.id_of("users", "demo") if user == "demo" else user

    answer = change(world, user_id, "wrong", "another")

    assert answer.status_code == 401
    assert message(answer) == "The request you have made requires authentication."


@with_settings(lockout_first_s=300)
def test_guessing_by_way_of_the_change_locks_too(world: World) -> None:
    user = world.id_of("users", "demo")
    for _ in range(world.kit.settings.lockout_after + 2):
        change(world, user, "wrong", "another")

    assert change(world, user, "demo-secret", "another").status_code == 401
    assert world.log_in("demo", "demo-secret").status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {"original_password": "demo-secret"},
        {"password": "new"},
        {"original_password": "demo-secret", "password": ""},
        {"original_password": "demo-secret", "password": 7},
        {"original_password": "demo-secret", "password": "new", "name": "x"},
    ],
)
def test_a_malformed_change_is_refused(world: World, body: object) -> None:
    user = world.id_of("users", "demo")

    answer = world.http.post(f"/v3/users/{user}/password", json={"user": body})

    assert answer.status_code == 400 and "demo-secret" not in answer.text
    assert world.log_in("demo", "demo-secret").status_code == 201


def test_odd_passwords_are_taken_as_they_are(world: World) -> None:
    user, composed, decomposed = a_user(world, "ann"), "caf\u00e9", "cafe\u0301"

    assert change(world, user, "ann-secret", composed).status_code == 204
    assert world.log_in("ann", decomposed).status_code == 401
    assert world.log_in("ann", composed).status_code == 201
    assert change(world, user, composed, "\0" * 5).status_code == 204
    assert world.log_in("ann", "\0").status_code == 401
    assert world.log_in("ann", "x" * 1_000_000).status_code == 401
    assert world.log_in("ann", "\0" * 5).status_code == 201


def test_no_password_reaches_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    user = a_user(world, "ann")

    change(world, user, "ann-secret", "hunter-2")
    change(world, user, "wrong-hunter-3", "hunter-2")
    reset(world, user, "hunter-4")

    assert "hunter" not in caplog.text and "ann-secret" not in caplog.text


@with_settings(password_regex=r"^(?=.*\d).{7,}$", password_regex_description="7 characters, one of them a digit")
def test_a_new_password_must_be_as_the_pattern_asks(world: World) -> None:
    user, said = world.id_of("users", "demo"), "The password does not match the requirements: 7 characters, one of"

    made = world.http.post("/v3/users", headers=world.as_(), json={"user": {"name": "x", "password": "short"}})
    answers = made, reset(world, user, "short"), change(world, user, "demo-secret", "short")

    assert all(one.status_code == 400 and message(one).startswith(said) for one in answers)
    assert change(world, user, "demo-secret", "longer-7").status_code == 204


def test_a_pattern_that_is_none_stops_the_start() -> None:
    with pytest.raises(ValidationError, match="not a regular expression"):
        IdentitySettings(database_url="sqlite://", password_regex="(")


@with_settings(unique_last_password_count=3)
def test_owners_choose_none_of_their_latest_passwords_again(world: World) -> None:
    user = a_user(world, "ann")
    assert change(world, user, "ann-secret", "two").status_code == 204
    assert change(world, user, "two", "three").status_code == 204

    refused = [change(world, user, "three", one) for one in ("three", "two", "ann-secret")]
    assert [one.status_code for one in refused] == [400, 400, 400]
    assert message(refused[0]).startswith("The new password cannot be identical to a previous password.")
    assert change(world, user, "three", "four").status_code == 204
    assert change(world, user, "four", "ann-secret").status_code == 204
    with world.kit.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(FormerPassword)) == 2


@with_settings(unique_last_password_count=3, minimum_password_age_days=5)
def test_an_administrator_is_not_held_to_age_and_history(world: World) -> None:
    user = a_user(world, "ann")

    assert [reset(world, user, one).status_code for one in ("two", "two", "ann-secret")] == [200, 200, 200]
    assert change(world, user, "ann-secret", "mine").status_code == 204  # its first own one


@with_settings(minimum_password_age_days=5)
def test_owners_keep_a_new_password_for_a_while(world: World) -> None:
    user = a_user(world, "ann")
    assert change(world, user, "ann-secret", "two").status_code == 204

    early = change(world, user, "two", "three")
    _grow_older(world, "ann", days=5)
    late = change(world, user, "two", "three")

    assert (early.status_code, late.status_code) == (400, 204)
    assert "it must be used for 5 day(s)" in message(early) and "again in 4 day(s)" in message(early)


@with_settings(password_expires_days=10)
def test_an_expired_password_is_good_only_for_choosing_another(world: World) -> None:
    user = a_user(world, "ann")
    shown = world.get(f"/v3/users/{user}", world.as_())["user"]["password_expires_at"]
    with world.kit.database.transaction() as session:
        session.execute(update(User).where(User.id == user).values(password_expires_at=utc_now()))

    expired, guessed = world.log_in("ann", "ann-secret"), world.log_in("ann", "wrong")
    changed = change(world, user, "ann-secret", "another")

    assert shown.endswith(".000000") and expired.status_code == guessed.status_code == 401
    assert message(expired) == f"The password is expired and needs to be changed for user: {user}."
    assert message(guessed) == "The request you have made requires authentication."
    assert changed.status_code == 204 and world.log_in("ann", "another").status_code == 201


@with_settings(password_expires_days=10)
def test_a_user_may_be_excepted_from_expiry(world: World) -> None:
    user = a_user(world, "ann", options={"ignore_password_expiry": True})

    assert world.get(f"/v3/users/{user}", world.as_())["user"]["password_expires_at"] is None


@with_settings(change_password_upon_first_use=True)
def test_a_password_from_an_administrator_must_be_changed_first(world: World) -> None:
    ann = a_user(world, "ann")
    a_user(world, "bot", options={"ignore_change_password_upon_first_use": True})

    first = world.log_in("ann", "ann-secret")
    change(world, ann, "ann-secret", "mine")
    own = world.log_in("ann", "mine")
    reset(world, ann, "theirs")
    again = world.log_in("ann", "theirs")

    assert (first.status_code, own.status_code, again.status_code) == (401, 201, 401)
    assert "needs to be changed" in message(first)
    assert world.log_in("bot", "bot-secret").status_code == 201


def test_a_locked_password_is_changed_by_administrators_only(world: World) -> None:
    user = a_user(world, "ann", options={"lock_password": True})

    answer = change(world, user, "ann-secret", "mine")

    assert answer.status_code == 400 and "disallowing password changes" in message(answer)
    assert reset(world, user, "theirs").status_code == 200


def test_a_user_may_be_excepted_from_lockout(world: World) -> None:
    a_user(world, "bot", options={"ignore_lockout_failure_attempts": True})

    for _ in range(world.kit.settings.lockout_after + 3):
        world.log_in("bot", "wrong")

    assert world.log_in("bot", "bot-secret").status_code == 201


def _grow_older(world: World, name: str, *, days: int) -> None:
    with world.kit.database.transaction() as session:
        session.execute(update(User).where(User.name == name).values(password_set_at=utc_now() - timedelta(days=days)))


def test_a_token_that_ended_by_a_change_makes_no_other_and_is_not_found(world: World) -> None:
    user, token = world.id_of("users", "demo"), world.token("demo")
    change(world, user, "demo-secret", "another")

    answer = world.rescope(token)

    assert answer.status_code == 404 and message(answer) == "Failed to validate token"


def test_an_address_that_guesses_by_way_of_the_change_waits(world: World) -> None:
    path, office = f"/v3/users/{world.id_of('users', 'demo')}/password", {"x-forwarded-for": "192.0.2.1"}
    body = {"user": {"original_password": "wrong", "password": "x"}}

    for _ in range(world.kit.settings.source_failures):
        assert world.http.post(path.replace("/users/", "/users/x"), headers=office, json=body).status_code == 401
    limited = next(a for _ in range(50) if (a := world.http.post(path, headers=office, json=body)).status_code == 429)

    assert int(limited.headers["retry-after"]) >= 1
    assert world.http.post(path, json=body).status_code == 401
