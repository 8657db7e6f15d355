"""Consoles under attack: rows O1 to O6 of the catalogue, and K2 for what is open when a login ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from shutil import copyfile
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import update
from websockets.exceptions import ConnectionClosed, InvalidStatus

from common.clock import utc_now
from services.compute.console.sessions import MOST_CONNECTIONS
from services.compute.db.tables import ConsoleTokenRow
from tests.harness.consoles import Consoles, consoles_of
from tests.harness.spice import CURSOR, DISPLAY, INPUTS, MAIN, USB, link
from tests.unit.compute.api.world import ALICES_USER, World, a_world

IN_TIME_S = 60.0


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def consoles(
    request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Consoles]:
    folder = tmp_path_factory.mktemp("consoles")
    copyfile(template, folder / "compute.sqlite")
    url = f"sqlite:///{folder}/compute.sqlite"
    with (
        a_world(url, is_new=False, quota_instances=-1, quota_cores=-1, quota_ram=-1) as world,
        consoles_of(world, request.param, folder) as made,
    ):
        yield made


def ending(socket: Any) -> tuple[int, str]:
    """How the websocket is closed, whatever still comes before that."""
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            socket.recv(timeout=IN_TIME_S)
    received = closed.value.rcvd
    assert received is not None
    return received.code, received.reason


@contextmanager
def opened(consoles: Consoles, server_id: str) -> Iterator[Any]:
    """A websocket that shows the screen."""
    with consoles.connect() as socket:
        socket.send(consoles.token(server_id))
        assert socket.recv(timeout=IN_TIME_S) == b""
        assert socket.recv(timeout=IN_TIME_S) == b"RFB 003.008\n"
        yield socket


def test_a_token_opens_the_guests_screen(consoles: Consoles) -> None:
    with opened(consoles, consoles.server()) as socket:
        socket.send(b"RFB 003.008\n")


def test_a_program_may_bring_the_token_in_the_query_as_nova_s_clients_do(consoles: Consoles) -> None:
    token = consoles.token(consoles.server())
    with consoles.connect(f"?token={token}", subprotocols=["binary"]) as socket:
        assert socket.subprotocol == "binary"
        assert [socket.recv(timeout=IN_TIME_S) for _ in range(2)] == [b"", b"RFB 003.008\n"]


@contextmanager
def begun(consoles: Consoles, server_id: str) -> Iterator[tuple[Any, str]]:
    """The main connection of a SPICE session, and the key to the others."""
    with consoles.connect() as socket:
        socket.send(consoles.token(server_id, "spice", "spice-html5"))
        socket.send(link(MAIN))
        key, nothing, magic = (socket.recv(timeout=IN_TIME_S) for _ in range(3))
        assert (nothing, magic) == (b"", b"REDQ")
        yield socket, str(key)


@contextmanager
def joined(consoles: Consoles, key: str, first: bytes) -> Iterator[Any]:
    """A further connection, before anything came."""
    with consoles.connect() as socket:
        socket.send(key)
        socket.send(first)
        yield socket


def test_a_screen_by_spice_is_a_session_of_several_connections(consoles: Consoles) -> None:
    with begun(consoles, consoles.server()) as (_, key):
        for kind in (DISPLAY, INPUTS, CURSOR):
            with joined(consoles, key, link(kind, session=7)) as further:
                assert [further.recv(timeout=IN_TIME_S) for _ in range(2)] == [b"", b"REDQ"]


def test_a_serial_line_tells_its_past_as_text(consoles: Consoles) -> None:
    server_id = consoles.server()
    with consoles.connect() as socket:
        socket.send(consoles.token(server_id, "serial", "serial"))

        past = socket.recv(timeout=IN_TIME_S)

    assert isinstance(past, str) and server_id in past


# ---------------------------------------------------------------- O1


@pytest.mark.parametrize(
    "path", ["//evil.test/%2F..", "/console//evil.test/%2f..", "/console/\\evil.test", "/console/../vnc", "//evil.test"]
)
def test_no_path_leads_elsewhere(consoles: Consoles, path: str) -> None:
    with httpx.Client() as http:
        answer = http.send(
            httpx.Request("GET", httpx.URL(f"http://127.0.0.1:{consoles.port}").copy_with(raw_path=path.encode()))
        )

    assert answer.status_code in (400, 404)
    assert "location" not in answer.headers


# ---------------------------------------------------------------- O2


@pytest.mark.parametrize(
    "origin", ["http://evil.test", "null", "http://cloud.test.evil.test", "https://cloud.test", "http://cloud.test:81"]
)
def test_a_foreign_page_is_refused_at_the_handshake(consoles: Consoles, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        consoles.connect(origin=origin)

    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("origin", ["http://cloud.test", "https://dashboard.test"])
def test_the_clouds_own_page_and_those_that_were_allowed_may_connect(consoles: Consoles, origin: str) -> None:
    server_id = consoles.server()
    with consoles.connect(origin=origin) as socket:
        socket.send(consoles.token(server_id))

        assert socket.recv(timeout=IN_TIME_S) == b""


def test_a_cookie_or_a_users_token_opens_nothing(consoles: Consoles) -> None:
    token = consoles.token(consoles.server())
    headers = {"cookie": f"token={token}", "x-auth-token": token}

    with consoles.connect(additional_headers=headers) as socket:
        socket.send("")

        assert ending(socket)[0] == 4401


# ---------------------------------------------------------------- O3


def test_a_token_is_for_one_guest_and_ends_with_it(consoles: Consoles) -> None:
    server_id = consoles.server()
    deleted, rebuilt, moved = (consoles.token(server_id) for _ in range(3))

    for token, change in (
        (rebuilt, {"launched_at": utc_now()}),
        (moved, {"host": "elsewhere"}),
        (deleted, {"deleted_at": utc_now()}),
    ):
        consoles.world.become(server_id, **change)
        with consoles.connect() as socket:
            socket.send(token)
            assert ending(socket)[0] == 4401


def test_a_console_ends_with_its_server(consoles: Consoles) -> None:
    server_id = consoles.server()
    with opened(consoles, server_id) as socket:
        began = time.monotonic()
        consoles.world.become(server_id, deleted_at=utc_now())

        assert ending(socket) == (4403, "The server was deleted")
    assert time.monotonic() - began < IN_TIME_S


def test_a_console_ends_when_its_guest_goes_off(consoles: Consoles) -> None:
    server_id = consoles.server()
    with opened(consoles, server_id) as socket:
        consoles.hypervisor.stop(UUID(server_id), patience_s=0)

        assert ending(socket)[0] == 1000


# ---------------------------------------------------------------- O4, K2


def test_a_token_is_good_once(consoles: Consoles) -> None:
    token = consoles.token(consoles.server())
    with consoles.connect() as first:
        first.send(token)
        assert first.recv(timeout=IN_TIME_S) == b""

        with consoles.connect() as second:
            second.send(token)
            assert ending(second)[0] == 4401
        with pytest.raises(InvalidStatus) as refused:
            consoles.connect(f"?token={token}")
    assert refused.value.response.status_code == 403


def test_a_sessions_key_begins_no_other_session(consoles: Consoles) -> None:
    with begun(consoles, consoles.server()) as (_, key), joined(consoles, key, link(MAIN)) as second:
        assert ending(second)[0] == 4401


def test_a_sessions_key_ends_with_it(consoles: Consoles) -> None:
    with begun(consoles, consoles.server()) as (main, key), joined(consoles, key, link(DISPLAY, session=7)) as further:
        assert further.recv(timeout=IN_TIME_S) == b""
        main.close()

        assert ending(further)[0] == 4403
    with joined(consoles, key, link(DISPLAY, session=7)) as late:
        assert ending(late)[0] == 4401


def test_a_session_ends_whole_with_its_server(consoles: Consoles) -> None:
    server_id = consoles.server()
    with begun(consoles, server_id) as (main, key), joined(consoles, key, link(DISPLAY, session=7)) as further:
        assert further.recv(timeout=IN_TIME_S) == b""
        consoles.world.become(server_id, deleted_at=utc_now())

        assert ending(main) == (4403, "The server was deleted")
        assert ending(further)[0] == 4403


def test_a_session_has_so_many_connections_and_no_more(consoles: Consoles) -> None:
    with begun(consoles, consoles.server()) as (_, key), ExitStack() as stack:
        for _ in range(MOST_CONNECTIONS):
            further = stack.enter_context(joined(consoles, key, link(DISPLAY, session=7)))
            assert further.recv(timeout=IN_TIME_S) == b""

        with joined(consoles, key, link(DISPLAY, session=7)) as one_more:
            assert ending(one_more)[0] == 4409


@pytest.mark.parametrize("first", [b"", link(DISPLAY), link(USB, session=7), b"RFB 003.008\n", "text"])
def test_a_token_for_spice_begins_a_session_and_nothing_else(consoles: Consoles, first: bytes | str) -> None:
    with consoles.connect() as socket:
        socket.send(consoles.token(consoles.server(), "spice", "spice-html5"))
        socket.send(first)

        assert ending(socket)[0] == 4401


def test_a_token_is_good_for_a_while(consoles: Consoles) -> None:
    token = consoles.token(consoles.server())
    with consoles.world.kit.database.transaction() as session:
        session.execute(update(ConsoleTokenRow).values(expires_at=utc_now() - timedelta(seconds=1)))

    with consoles.connect() as socket:
        socket.send(token)
        assert ending(socket)[0] == 4401


@pytest.mark.parametrize("first", ["x" * 10_000, "", "wrong", b"bytes", "\u0000"])
def test_what_is_no_token_opens_nothing(consoles: Consoles, first: str | bytes) -> None:
    with consoles.connect() as socket:
        socket.send(first)

        assert ending(socket)[0] == 4401


REVOKED = pytest.mark.parametrize(
    "what", [{"user_id": ALICES_USER}, {"project_id": "a1" * 16}], ids=["user", "project"]
)


@REVOKED
def test_a_token_of_a_login_that_has_ended_opens_nothing(consoles: Consoles, what: dict[str, str]) -> None:
    token = consoles.token(consoles.server())
    consoles.revoke(**what)

    with consoles.connect() as socket:
        socket.send(token)
        assert ending(socket)[0] == 4401


@REVOKED
def test_an_open_console_ends_with_its_login(consoles: Consoles, what: dict[str, str]) -> None:
    with opened(consoles, consoles.server()) as socket:
        began = time.monotonic()
        consoles.revoke(**what)

        assert ending(socket) == (4403, "The login that it came from has ended")
    assert time.monotonic() - began < IN_TIME_S


def test_other_peoples_consoles_go_on(consoles: Consoles) -> None:
    with opened(consoles, consoles.server()) as socket:
        consoles.revoke(user_id=uuid4().hex)

        with pytest.raises(TimeoutError):
            socket.recv(timeout=2.5)


def test_a_server_has_so_many_consoles_and_no_more(world: World, tmp_path: Path) -> None:
    with consoles_of(world, "embedded", tmp_path, viewers=1) as consoles:
        server_id = consoles.server()
        with opened(consoles, server_id), consoles.connect() as second:
            second.send(consoles.token(server_id))
            assert ending(second)[0] == 4409


# ---------------------------------------------------------------- O5


def test_no_log_holds_a_token(consoles: Consoles, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("uvicorn.error").setLevel(
        logging.WARNING
    )  # as in every process of ours; "httpx" is this test's own
    server_id = consoles.server()
    shown, used = consoles.token(server_id), consoles.token(server_id)

    consoles.world.admin("2.31").get(f"/v2.1/os-console-auth-tokens/{shown}")
    with consoles.connect() as socket:
        socket.send(used)
        socket.recv(timeout=IN_TIME_S)

    said = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records if record.name != "httpx")
    assert "os-console-auth-tokens/***" in said
    assert shown not in said and used not in said


def test_pages_send_no_referrer_and_are_not_kept(consoles: Consoles) -> None:
    page = httpx.get(f"http://127.0.0.1:{consoles.port}/console/vnc")

    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"


# ---------------------------------------------------------------- O6


@pytest.mark.parametrize("page", ["vnc", "spice", "serial"])
def test_pages_hold_no_script_and_let_none_in(consoles: Consoles, page: str) -> None:
    answer = httpx.get(f"http://127.0.0.1:{consoles.port}/console/{page}")

    policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'self' http://cloud.test https://dashboard.test"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.text.count("<script") == 1 and "</script>" in answer.text.split("<script")[1][:80]
    assert "style=" not in answer.text and " on" + "click" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["console.css", "page.js", "vnc.js", "spice.js", "serial.js"])
def test_files_of_the_pages_have_their_own_type(consoles: Consoles, name: str) -> None:
    answer = httpx.get(f"http://127.0.0.1:{consoles.port}/console/assets/{name}")

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/css" if name.endswith("css") else "text/javascript")


@pytest.mark.parametrize(
    "name",
    ["made-of", "vnc.html", "entries/spice-websocket.js", "%2e%2e%2fkit.py", "..%2fkit.py", "bundles/novnc.js", ""],
)
def test_no_other_file_is_shown(consoles: Consoles, name: str) -> None:
    assert httpx.get(f"http://127.0.0.1:{consoles.port}/console/assets/{name}").status_code in (400, 404)


# ---------------------------------------------------------------- the gateway


@pytest.mark.parametrize(
    ("path", "status"),
    [("/compute/v2.1", 404), ("/", 404), ("/nothing", 404), ("/console/../x", 400), ("/console/vnc", 403)],
)
def test_only_consoles_take_websockets(consoles: Consoles, path: str, status: int) -> None:
    from websockets.sync.client import connect

    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{consoles.port}{path}", proxy=None, open_timeout=60)

    assert refused.value.response.status_code == status


def test_a_host_that_is_away_ends_the_console_with_a_word(consoles: Consoles) -> None:
    server_id = consoles.server()
    token = consoles.token(server_id)
    consoles.hypervisor.destroy(UUID(server_id))

    with consoles.connect() as socket:
        socket.send(token)
        assert ending(socket)[0] == 4409
