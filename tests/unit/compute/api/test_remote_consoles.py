"""Addresses of consoles: who gets one, for which server, and what a token tells."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from shutil import copyfile
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select

from common.clock import utc_now
from services.compute.core.consoles import hash_of
from services.compute.db.consoles import Consoles
from services.compute.db.tables import ConsoleTokenRow
from tests.unit.compute.api.world import ALICE, READER, World, a_world

NOVNC = {"remote_console": {"protocol": "vnc", "type": "novnc"}}


def asked(protocol: str, kind: str) -> dict[str, Any]:
    return {"remote_console": {"protocol": protocol, "type": kind}}


def ask(world: World, server_id: str, body: Any = NOVNC, version: str = "2.6") -> Any:
    return world.at(version).post(f"/v2.1/servers/{server_id}/remote-consoles", json=body)


def offering(world: World, *kinds: str) -> str:
    """The name of a host whose guests have these consoles."""
    name = "with-" + "-".join(kinds)
    world.host(name, consoles=kinds)
    return name


def token_in(url: str) -> str:
    return parse_qs(urlsplit(url).fragment)["token"][0]


@pytest.mark.parametrize(
    ("protocol", "kind", "page"),
    [("vnc", "novnc", "vnc"), ("spice", "spice-html5", "spice"), ("serial", "serial", "serial")],
)
def test_the_address_of_a_console_is_the_page_with_a_token_behind_the_hash(
    world: World, protocol: str, kind: str, page: str
) -> None:
    server_id = world.active_server(name="web 1", host=offering(world, "vnc", "spice", "serial"))

    answer = ask(world, server_id, asked(protocol, kind))

    assert answer.status_code == 200
    told = answer.json()["remote_console"]
    assert (told["protocol"], told["type"]) == (protocol, kind)
    assert told["url"].startswith(f"http://cloud.test/console/{page}#token=")
    assert parse_qs(urlsplit(told["url"]).fragment)["title"] == ["web 1"]


def test_programs_that_connect_by_themselves_get_the_address_in_nova_s_form(template: Path, tmp_path: Path) -> None:
    copyfile(template, tmp_path / "compute.sqlite")
    with a_world(f"sqlite:///{tmp_path}/compute.sqlite", is_new=False, console_url_form="query") as world:
        url = ask(world, world.active_server()).json()["remote_console"]["url"]

    path = parse_qs(urlsplit(url).query)["path"][0]
    assert path.startswith("console/socket?token=") and len(path) > 60
    assert urlsplit(url).path == "/console/vnc" and not urlsplit(url).fragment


def test_only_the_hash_of_a_token_is_kept(world: World) -> None:
    token = token_in(ask(world, world.active_server()).json()["remote_console"]["url"])

    with world.kit.database.reading() as session:
        rows = list(session.scalars(select(ConsoleTokenRow)))

    assert [row.token_hash for row in rows] == [hash_of(token)]
    assert token not in str(vars(rows[0]))
    assert len(token) >= 43  # 256 bits


def test_no_two_tokens_are_alike_and_each_ends_in_time(world: World) -> None:
    server_id, before = world.active_server(), utc_now()

    tokens = {token_in(ask(world, server_id).json()["remote_console"]["url"]) for _ in range(3)}

    assert len(tokens) == 3
    with world.kit.database.reading() as session:
        for row in session.scalars(select(ConsoleTokenRow)):
            assert before <= row.expires_at - timedelta(seconds=600) <= utc_now()


@pytest.mark.parametrize(
    ("action", "kind", "page"),
    [
        ("os-getVNCConsole", "novnc", "vnc"),
        ("os-getSPICEConsole", "spice-html5", "spice"),
        ("os-getSerialConsole", "serial", "serial"),
    ],
)
def test_older_clients_ask_by_an_action(world: World, action: str, kind: str, page: str) -> None:
    server_id = world.active_server(host=offering(world, "vnc", "spice", "serial"))

    answer = world.at("2.5").post(f"/v2.1/servers/{server_id}/action", json={action: {"type": kind}})

    assert answer.status_code == 200
    assert answer.json()["console"]["type"] == kind
    assert f"/console/{page}#" in answer.json()["console"]["url"]


@pytest.mark.parametrize(
    "action", ["os-getVNCConsole", "os-getSPICEConsole", "os-getRDPConsole", "os-getSerialConsole"]
)
def test_the_actions_are_gone_since_2_6(world: World, action: str) -> None:
    body = {action: {"type": "novnc"}}

    assert world.at("2.6").post(f"/v2.1/servers/{world.active_server()}/action", json=body).status_code == 404


def test_the_address_is_not_there_before_2_6(world: World) -> None:
    assert ask(world, world.active_server(), version="2.5").status_code == 404


@pytest.mark.parametrize(
    ("body", "version", "words"),
    [
        (asked("spice", "spice-html5"), "2.6", "Unavailable console type spice-html5."),
        (asked("rdp", "rdp-html5"), "2.6", "Unavailable console type rdp-html5."),
        (asked("mks", "webmks"), "2.8", "Unavailable console type webmks."),
        (asked("spice", "spice-direct"), "2.99", "Unavailable console type spice-direct."),
        (asked("vnc", "xvpvnc"), "2.6", "Invalid console type xvpvnc."),
        (asked("vnc", "serial"), "2.6", "Invalid console type serial."),
        (asked("mks", "webmks"), "2.7", "mks"),
        (asked("spice", "spice-direct"), "2.98", "spice-direct"),
        (asked("telnet", "novnc"), "2.6", "telnet"),
        ({"remote_console": {"protocol": "vnc"}}, "2.6", "type"),
        ({"remote_console": {"protocol": "vnc", "type": "novnc", "more": 1}}, "2.6", "more"),
        ({}, "2.6", "remote_console"),
    ],
)
def test_what_no_guest_has_is_a_bad_request(world: World, body: Any, version: str, words: str) -> None:
    answer = ask(world, world.active_server(), body, version)

    assert answer.status_code == 400
    assert words in answer.json()["badRequest"]["message"]


@pytest.mark.parametrize(("action", "kind"), [("os-getSPICEConsole", "spice-html5"), ("os-getRDPConsole", "rdp-html5")])
def test_old_actions_for_what_no_guest_has_are_bad_requests(world: World, action: str, kind: str) -> None:
    answer = world.at("2.1").post(f"/v2.1/servers/{world.active_server()}/action", json={action: {"type": kind}})

    assert answer.status_code == 400
    assert answer.json()["badRequest"]["message"] == f"Unavailable console type {kind}."


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (NOVNC, "Unavailable console type novnc."),
        (asked("spice", "spice-direct"), "Unavailable console type spice-direct."),
        (asked("spice", "novnc"), "Invalid console type novnc."),
    ],
)
def test_a_host_says_which_consoles_its_guests_have(world: World, body: Any, words: str) -> None:
    answer = ask(world, world.active_server(host=offering(world, "spice", "serial")), body, "2.99")

    assert answer.status_code == 400
    assert answer.json()["badRequest"]["message"] == words


@pytest.mark.parametrize("power_state", [0, 4, 6, 7])
def test_a_server_that_does_not_run_has_no_console(world: World, power_state: int) -> None:
    server_id = world.active_server()
    world.become(server_id, vm_state="stopped", power_state=power_state)

    answer = ask(world, server_id)

    assert answer.status_code == 409
    assert answer.json()["conflictingRequest"]["message"] == f"Instance {server_id} is not ready"


def test_a_server_without_a_host_has_no_console(world: World) -> None:
    assert ask(world, world.server()).status_code == 409


def test_readers_get_no_console_and_others_find_no_server(world: World) -> None:
    server_id = world.active_server()
    reader = world.person(ALICE, READER, "2.6")

    assert reader.post(f"/v2.1/servers/{server_id}/remote-consoles", json=NOVNC).status_code == 403
    assert world.bob.post(f"/v2.1/servers/{server_id}/remote-consoles", json=NOVNC).status_code == 404


def test_an_administrator_learns_what_a_token_opens(world: World) -> None:
    server_id = world.active_server()
    token = token_in(ask(world, server_id).json()["remote_console"]["url"])

    told = world.admin("2.31").get(f"/v2.1/os-console-auth-tokens/{token}")
    newest = world.admin("2.99").get(f"/v2.1/os-console-auth-tokens/{token}")

    expected = {"instance_uuid": server_id, "host": "one", "port": None, "internal_access_path": None}
    assert told.json() == {"console": expected}
    assert world.admin("2.98").get(f"/v2.1/os-console-auth-tokens/{token}?x=1").status_code == 200
    assert world.admin("2.99").get(f"/v2.1/os-console-auth-tokens/{token}?x=1").status_code == 400
    assert newest.json() == {"console": expected | {"tls_port": None}}


def test_before_2_31_only_rdp_consoles_were_told(world: World) -> None:
    token = token_in(ask(world, world.active_server()).json()["remote_console"]["url"])

    answer = world.admin("2.30").get(f"/v2.1/os-console-auth-tokens/{token}")

    assert answer.status_code == 401
    assert answer.json() == {
        "unauthorized": {"code": 401, "message": "The requested console type details are not accessible"}
    }
    assert world.admin("2.30").get("/v2.1/os-console-auth-tokens/none").status_code == 404


def test_a_token_that_was_used_or_is_unknown_is_not_found(world: World) -> None:
    token = token_in(ask(world, world.active_server()).json()["remote_console"]["url"])
    with world.kit.database.transaction() as session:
        Consoles(session).redeem(hash_of(token), utc_now())

    for unknown in (token, "unknown"):
        answer = world.admin("2.31").get(f"/v2.1/os-console-auth-tokens/{unknown}")
        assert answer.status_code == 404
        assert answer.json()["itemNotFound"]["message"] == "Token not found"


def test_only_administrators_learn_what_a_token_opens(world: World) -> None:
    token = token_in(ask(world, world.active_server()).json()["remote_console"]["url"])

    assert world.at("2.31").get(f"/v2.1/os-console-auth-tokens/{token}").status_code == 403
