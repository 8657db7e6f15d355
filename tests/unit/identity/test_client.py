"""The client that other services use: verifier, refresher, service token."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from common.auth.tokens import Revocation, TokenVerifier
from common.bus.bus import Handlers
from common.bus.memory import MemoryBus
from common.errors import Unauthenticated, Unavailable
from common.http.inprocess import Inside
from common.process import Surroundings
from services.identity.client import IdentityClient, Refresher, ServiceToken, verifier_for
from services.identity.core.proofs import is_proof, prove
from tests.harness.waiting import until
from tests.unit.identity.test_application_credentials import a_credential, token_of
from tests.unit.identity.worlds import World


@contextmanager
def next_to(world: World) -> Iterator[Surroundings]:
    """What another service in the same process is built from."""
    inside = Inside()
    assert world.part.app is not None
    inside.add("identity", world.part.app)
    yield replace(world.surroundings, inside=inside)
    inside.close()


def _refused(verifier: TokenVerifier, token: str) -> bool:
    try:
        verifier.verify(token)
    except Unauthenticated:
        return True
    return False


def test_a_service_verifies_a_token_with_keys_it_fetched_once(world: World) -> None:
    with next_to(world) as surroundings:
        verifier, _ = verifier_for(surroundings)

        caller = verifier.verify(world.token("demo"))

        assert caller.roles == {"member", "reader"} and caller.project_id == world.id_of("projects", "demo")
        assert not verifier.may_be_new(world.token("demo"))


def test_a_service_fetches_keys_again_when_identity_signs_with_a_new_one(world: World) -> None:
    with next_to(world) as surroundings:
        verifier, _ = verifier_for(surroundings)
        old = world.token("demo")
        verifier.verify(old)
        world.kit.keyring.rotate()
        new = world.token("demo")

        until(lambda: not _refused(verifier, new))

        assert verifier.verify(old).user_id == verifier.verify(new).user_id


def test_a_revocation_reaches_a_service_by_the_bus(world: World) -> None:
    with next_to(world) as surroundings:
        verifier, refresher = verifier_for(surroundings)
        refresher.start()
        token = world.token("demo")
        verifier.verify(token)

        world.http.delete("/v3/auth/tokens", headers={"x-auth-token": token, "x-subject-token": token})

        until(lambda: _refused(verifier, token), what="the revocation")
        refresher.stop()


class DeafBus(MemoryBus):
    """Its broker is away."""

    def listen(self, topic: str, handlers: Handlers) -> None:
        pass

    def deaf_since(self) -> datetime | None:
        return datetime.now(UTC)


def test_a_revocation_reaches_a_service_by_polling_while_the_bus_is_deaf(world: World) -> None:
    bus = DeafBus()
    with next_to(world) as surroundings:
        verifier, refresher = verifier_for(replace(surroundings, bus=bus))
        refresher.start()
        token = world.token("demo")
        verifier.verify(token)

        world.http.delete("/v3/auth/tokens", headers={"x-auth-token": token, "x-subject-token": token})

        until(lambda: _refused(verifier, token), what="the revocation")
        refresher.stop()
    bus.close()


def test_while_the_bus_hears_the_list_is_fetched_only_now_and_then() -> None:
    asked: list[None] = []

    def nothing_revoked() -> list[Revocation]:
        asked.append(None)
        return []

    bus = MemoryBus()
    refresher = Refresher(TokenVerifier(dict, nothing_revoked), bus, poll_s=3600)

    for _ in range(5):
        refresher._poll_if_due()

    assert len(asked) == 1
    bus.close()


def test_a_service_token_is_fetched_once_and_again_when_told_to_forget(world: World) -> None:
    with next_to(world) as surroundings:
        source = ServiceToken(IdentityClient(surroundings), username="compute", password="compute-secret")

        first, second = source(), source()
        source.forget()
        third = source()

        assert first == second != third
        assert world.kit.verifier.verify(first).is_service


def test_a_service_with_a_wrong_password_is_told_so(world: World) -> None:
    with next_to(world) as surroundings, pytest.raises(Unauthenticated):
        ServiceToken(IdentityClient(surroundings), username="compute", password="wrong")()


def test_without_identity_a_service_says_unavailable(world: World) -> None:
    token = world.token("demo")
    inside = Inside()
    verifier, _ = verifier_for(replace(world.surroundings, inside=inside))

    for _ in range(2):
        with pytest.raises(Unavailable):
            verifier.verify(token)
    inside.close()


def test_a_proof_is_good_for_a_while_and_only_with_the_same_secret() -> None:
    proof = prove("secret", now=1000)

    assert is_proof(proof, "secret", now=1060)
    assert not is_proof(proof, "secret", now=1500)
    assert not is_proof(proof, "other", now=1000)
    assert not any(is_proof(bad, "secret", now=1000) for bad in ("", ".", "1000", "1000.", "x.y", "١٠٠٠.y"))


def test_a_service_learns_whether_there_is_such_a_project(world: World) -> None:
    with next_to(world) as surroundings:
        client, token = IdentityClient(surroundings), world.token()

        assert client.has_project(world.id_of("projects", "demo"), token)
        assert not client.has_project("0" * 32, token)
        assert not client.has_project("../users", token)
        client.close()


def test_a_token_that_is_good_for_one_service_may_be_passed_on_by_it(world: World) -> None:
    rules = [{"service": "compute", "method": "GET", "path": "/**"}]
    token, project = token_of(world, a_credential(world, access_rules=rules)), world.id_of("projects", "demo")
    with next_to(world) as surroundings:
        voucher = ServiceToken(IdentityClient(surroundings), username="compute", password="compute-secret")
        alone, vouched = IdentityClient(surroundings), IdentityClient(surroundings, voucher=voucher)

        with pytest.raises(Unauthenticated):
            alone.has_project(project, token)
        assert vouched.has_project(project, token)


def test_a_service_whose_own_token_was_revoked_vouches_with_a_new_one(world: World) -> None:
    project = world.id_of("projects", "demo")
    with next_to(world) as surroundings:
        voucher = ServiceToken(IdentityClient(surroundings), username="compute", password="compute-secret")
        vouched, own = IdentityClient(surroundings, voucher=voucher), voucher()
        world.http.delete("/v3/auth/tokens", headers={"x-auth-token": own, "x-subject-token": own})

        assert vouched.has_project(project, world.token("demo"))
        assert voucher() != own
