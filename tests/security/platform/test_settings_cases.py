"""K19 and K22: settings mean what they say, certificates are checked, and no secret is ever asked for on a command line."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import ClassVar

import click
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from cli.main import VERBS, cli
from common.errors import InvalidInput, Unavailable
from common.http.client import ServiceClient
from common.settings import Section


class Switches(Section):
    section: ClassVar[str] = "switches"

    insecure: bool = True


@pytest.mark.parametrize("written", ['"False"', '"false"', '"no"', '"0"', "false", "0"])
def test_k19_a_false_that_is_spelled_out_is_false(tmp_path: Path, written: str) -> None:
    file = tmp_path / "pileus.toml"
    file.write_text(f"[switches]\ninsecure = {written}\n")

    assert Switches.read(file).insecure is False


@pytest.mark.parametrize("written", ['"Flase"', '""', "2", '"never"', "[]"])
def test_k19_what_is_neither_yes_nor_no_stops_the_start(tmp_path: Path, written: str) -> None:
    file = tmp_path / "pileus.toml"
    file.write_text(f"[switches]\ninsecure = {written}\n")

    with pytest.raises(InvalidInput, match="insecure"):
        Switches.read(file)


class Impostor(BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(str(self.headers))
        self.send_response(200)
        self.end_headers()


@pytest.fixture
def impostor(tmp_path: Path) -> Iterator[str]:
    """Somebody in the middle, with a certificate that he made himself."""
    key, name = Ed25519PrivateKey.generate(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, None)
    )
    file = tmp_path / "impostor.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with HTTPServer(("127.0.0.1", 0), Impostor) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_k19_a_service_tells_an_impostor_nothing(impostor: str) -> None:
    client = ServiceClient(impostor, timeout_s=5)

    with pytest.raises(Unavailable):
        client.request("GET", "/", token="canary")
    client.close()

    assert Impostor.asked == []


def test_k22_no_command_takes_a_secret_as_an_argument() -> None:
    context = click.Context(cli)

    taken = [
        f"{verb} --{parameter.name}"
        for verb in VERBS
        for parameter in all_of(cli.get_command(context, verb))
        if any(word in str(parameter.name) for word in ("password", "secret", "token", "key"))
    ]

    assert taken == []


def all_of(command: click.Command | None) -> Iterator[click.Parameter]:
    assert command is not None
    yield from command.params
    if isinstance(command, click.Group):
        for one in command.commands.values():
            yield from all_of(one)
