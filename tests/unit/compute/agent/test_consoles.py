"""The agent hands a console's bytes to whoever brings the key, once, and to nobody else."""

from __future__ import annotations

import os
import pty
import socket
import ssl
import tty
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from services.compute.agent import consoles
from services.compute.agent.consoles import ConsoleDoor
from services.compute.contract import ConsoleAt
from tests.harness.waiting import until

KINDS = ("unix", "tls")
OPEN: list[socket.socket] = []


@pytest.fixture(params=KINDS)
def door(request: pytest.FixtureRequest) -> Iterator[ConsoleDoor]:
    made = ConsoleDoor(None if request.param == "unix" else "127.0.0.1:0")
    yield made
    made.close()


@pytest.fixture(autouse=True)
def everything_closed() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


def a_screen() -> tuple[socket.socket, int]:
    """The guest's end, and the descriptor that a hypervisor would hand out."""
    guest, near = socket.socketpair()
    guest.settimeout(5)
    OPEN.append(guest)
    return guest, near.detach()


def dial(at: ConsoleAt, key: str | None = None) -> socket.socket:
    if at.address.startswith("unix:"):
        plain = socket.socket(socket.AF_UNIX)
        OPEN.append(plain)
        plain.connect(at.address.removeprefix("unix:"))
    else:
        host, _, port = at.address.rpartition(":")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(cadata=str(at.certificate))
        OPEN.append(unsafe := socket.create_connection((host, int(port))))
        plain = context.wrap_socket(unsafe)
    OPEN.append(plain)
    plain.settimeout(5)
    plain.sendall((key or at.key).encode())
    return plain


def test_bytes_pass_both_ways(door: ConsoleDoor) -> None:
    guest, descriptor = a_screen()
    viewer = dial(door.offer(descriptor))

    guest.sendall(b"RFB 003.008\n")
    viewer.sendall(b"a key")

    assert viewer.recv(100) == b"RFB 003.008\n"
    assert guest.recv(100) == b"a key"


def test_whoever_has_no_key_gets_no_byte(door: ConsoleDoor) -> None:
    guest, descriptor = a_screen()
    guest.sendall(b"secret")
    at = door.offer(descriptor)

    assert dial(at, "0" * len(at.key)).recv(100) == b""
    assert dial(at).recv(100) == b"secret"


def test_a_key_is_good_once(door: ConsoleDoor) -> None:
    guest, descriptor = a_screen()
    guest.sendall(b"first")
    at = door.offer(descriptor)

    assert dial(at).recv(100) == b"first"
    assert dial(at).recv(100) == b""


def test_a_console_that_nobody_fetches_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consoles, "PATIENCE_S", 0.05)
    door = ConsoleDoor()
    guest, descriptor = a_screen()

    door.offer(descriptor)

    assert guest.recv(100) == b""
    door.close()


def test_who_connects_and_says_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consoles, "PATIENCE_S", 0.05)
    door = ConsoleDoor()
    at = door.offer(a_screen()[1])
    silent = socket.socket(socket.AF_UNIX)
    OPEN.append(silent)
    silent.settimeout(5)

    silent.connect(at.address.removeprefix("unix:"))

    assert silent.recv(1) == b""
    door.close()


def test_the_end_of_either_side_is_the_end_of_the_other(door: ConsoleDoor) -> None:
    guest, descriptor = a_screen()
    viewer = dial(door.offer(descriptor))
    guest.close()
    assert viewer.recv(100) == b""

    guest, descriptor = a_screen()
    viewer = dial(door.offer(descriptor))
    viewer.close()
    assert guest.recv(100) == b""


def test_a_serial_line_has_one_reader_and_the_newest_is_it(door: ConsoleDoor) -> None:
    guest, line = pty.openpty()
    tty.setraw(line)
    server_id = uuid4()
    first = dial(door.offer(os.dup(line), line=server_id))
    os.write(guest, b"one")
    assert first.recv(100) == b"one"

    second = dial(door.offer(os.dup(line), line=server_id))

    assert first.recv(100) == b""
    os.write(guest, b"two")
    assert second.recv(100) == b"two"
    second.sendall(b"a key")
    assert os.read(guest, 100) == b"a key"
    os.close(line)
    os.close(guest)


def test_the_socket_is_for_this_user_alone_and_goes_with_the_agent() -> None:
    door = ConsoleDoor()
    path = Path(door.offer(a_screen()[1]).address.removeprefix("unix:"))

    assert path.parent.stat().st_mode & 0o777 == 0o700
    door.close()
    until(lambda: not path.exists(), what="the end of the socket")


def test_nothing_listens_until_a_console_is_asked_for() -> None:
    door = ConsoleDoor("127.0.0.1:0")

    assert door._server is None


def test_another_process_cannot_play_the_host() -> None:
    first, second = ConsoleDoor("127.0.0.1:0"), ConsoleDoor("127.0.0.1:0")
    at, other = first.offer(a_screen()[1]), second.offer(a_screen()[1])

    with pytest.raises(ssl.SSLCertVerificationError):
        dial(at.model_copy(update={"address": other.address}))
    first.close()
    second.close()
