"""What a new cloud starts with, and doing it again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import delete, select

from common.auth.tokens import Revocation
from common.bus.bus import Handlers
from common.db.migrate import drift
from common.settings import PlatformSettings
from services.identity.contract import TokenRevoked
from services.identity.core.bootstrap import ServiceUser
from services.identity.db import cloud_tables, delegation_tables  # noqa: F401  all tables, for the comparison
from services.identity.db.tables import Endpoint, IdentityTable, SigningKey
from services.identity.main import bootstrap, keep_house
from tests.harness.waiting import until
from tests.unit.identity.worlds import CLOUD, World, scope_to

NOUNS = ("domains", "projects", "users", "roles", "services", "endpoints", "regions", "role_assignments")


def _everything(world: World) -> dict[str, object]:
    admin = world.as_()
    return {noun: world.get(f"/v3/{noun}", admin)[noun] for noun in NOUNS}


def test_bootstrap_again_changes_nothing(world: World) -> None:
    before = _everything(world)

    bootstrap(world.surroundings, CLOUD)

    assert _everything(world) == before


def test_bootstrap_again_puts_back_what_is_missing_and_adds_what_is_new(world: World) -> None:
    with world.kit.database.transaction() as session:
        session.execute(delete(Endpoint))
    more = replace(CLOUD, service_users=(*CLOUD.service_users, ServiceUser("volume", "volume-secret")))

    bootstrap(world.surroundings, more)

    assert len(world.get("/v3/endpoints", world.as_())["endpoints"]) == 3 * len(CLOUD.offers)
    assert world.log_in("volume", "volume-secret", scope_to("service")).status_code == 201


def test_bootstrap_with_another_address_moves_the_catalog(world: World) -> None:
    moved = world.surroundings.platform.model_copy(update={"public_url": "https://elsewhere.test/"})

    bootstrap(replace(world.surroundings, platform=moved), CLOUD)

    urls = {one["url"] for one in world.get("/v3/endpoints", world.as_())["endpoints"]}
    assert "https://elsewhere.test/compute/v2.1" in urls and len(urls) == len(CLOUD.offers)


def test_bootstrap_with_another_password_changes_it_and_ends_the_users_tokens(world: World) -> None:
    token, heard, handlers = world.token("demo"), list[Revocation](), Handlers()
    handlers.hears(TokenRevoked)(lambda event: heard.append(event.revocation))
    world.surroundings.bus.listen("identity.*.*", handlers)

    bootstrap(world.surroundings, replace(CLOUD, demo_password="another"))

    assert world.log_in("demo", "another").status_code == 201
    assert world.log_in("demo", "demo-secret").status_code == 401
    assert world.validate(token).status_code == 404
    assert [one.user_id for one in until(lambda: heard)] == [world.id_of("users", "demo")]


def test_service_users_have_the_roles_they_were_given(world: World) -> None:
    token = world.log_in("compute-agent", "agent-secret", scope_to("service")).json()["token"]

    assert [role["name"] for role in token["roles"]] == ["service"]


def test_each_table_has_its_migration(world: World) -> None:
    assert drift(world.kit.database, IdentityTable.metadata) == []


def test_an_old_signing_key_is_replaced_and_a_young_one_stays(world: World) -> None:
    def keys() -> dict[str, bool]:
        with world.kit.database.reading() as session:
            return {key.id: key.retired_at is None for key in session.scalars(select(SigningKey))}

    [first] = keys()
    keep_house(world.kit)
    assert keys() == {first: True}

    with world.kit.database.transaction() as session:
        key = session.scalars(select(SigningKey)).one()
        key.created_at = key.created_at.replace(year=2020)
    keep_house(world.kit)

    assert len(keys()) == 2 and keys()[first] is False


@pytest.mark.parametrize("secret_name", ["admin_password", "demo_password"])
def test_passwords_do_not_show_when_a_bootstrap_is_printed(secret_name: str, platform: PlatformSettings) -> None:
    assert getattr(CLOUD, secret_name) not in repr(CLOUD)
    assert all(user.password not in repr(CLOUD) for user in CLOUD.service_users)
