"""K11: nobody becomes somebody else by a header, in whatever spelling, number or place."""

from __future__ import annotations

import json

import pytest

from tests.unit.gateway.running import Gateway

FORGED = [
    b"X-Roles: admin",
    b"x-user-id: 1",
    b"X-Project-Id: 1",
    b"X-Is-Admin-Project: True",
    b"X-Identity-Status: Confirmed",
    b"X-Service-Identity-Status: Confirmed",
    b"X-Service-Roles: admin",
    b"x_roles: admin",
    b"X_Is_Admin-Project: True",
    b"X-Roles: admin\r\nX-Roles: member\r\nx-roles: reader",
    b"X-Forwarded-Host: evil.example\r\nX-Forwarded-Host: worse.example",
    b"Forwarded: for=10.0.0.1;host=evil.example",
    b"Remote-User: admin",
]


def seen_by_service(raw: bytes) -> list[list[str]]:
    body = raw.split(b"\r\n\r\n", 1)[1]
    headers: list[list[str]] = json.loads(body)["headers"]
    return headers


@pytest.mark.parametrize("header", FORGED)
def test_a_forged_header_does_not_reach_a_service(gateway: Gateway, header: bytes) -> None:
    raw = gateway.raw(
        b"GET /compute/v2.1 HTTP/1.1\r\nHost: a\r\nX-Auth-Token: t\r\n" + header + b"\r\nConnection: close\r\n\r\n"
    )

    seen = seen_by_service(raw)
    names = {name for name, value in seen}
    assert ["x-auth-token", "t"] in seen
    assert not names & {"x-roles", "x-user-id", "x-project-id", "x-is-admin-project", "remote-user", "forwarded"}
    assert not [name for name in names if "_" in name or name.startswith(("x-identity", "x-service"))]
    assert [value for name, value in seen if name == "x-forwarded-host"] == ["a"]


@pytest.mark.parametrize("trailer", [b"X-Roles: admin", b"X-Auth-Token: stolen", b"X-Service-Token: t"])
def test_a_header_after_a_chunked_body_is_no_header(gateway: Gateway, trailer: bytes) -> None:
    raw = gateway.raw(
        b"POST /compute/v2.1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b"2\r\nab\r\n0\r\n" + trailer + b"\r\n\r\n"
    )

    assert trailer.split(b":")[0].decode().lower() not in {name for name, _ in seen_by_service(raw)}


def test_connection_cannot_take_the_gateways_own_headers_away(gateway: Gateway) -> None:
    raw = gateway.raw(
        b"GET /compute/v2.1 HTTP/1.1\r\nHost: a\r\nConnection: close, X-Forwarded-Host, X-Forwarded-Prefix, Host\r\n\r\n"
    )

    names = {name for name, _ in seen_by_service(raw)}
    assert {"x-forwarded-host", "x-forwarded-prefix", "host"} <= names
