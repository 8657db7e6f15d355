"""Which headers pass the edge."""

from __future__ import annotations

import pytest

from api_gateway.headers import end_to_end, from_client, host_of
from common.errors import InvalidInput


@pytest.mark.parametrize(
    "name",
    [
        "x-auth-token", "x-subject-token", "x-service-token", "content-type", "accept", "openstack-api-version",
        "x-openstack-nova-api-version", "x-openstack-request-id", "traceparent", "x-image-meta-name", "range", "if-match",
        "x-openstack-image-size", "idempotency-key", "user-agent",
    ],
)  # fmt: skip
def test_a_header_that_clients_rightly_send_passes(name: str) -> None:
    assert from_client([(name.encode(), b"value")]) == [(name.encode(), b"value")]


@pytest.mark.parametrize(
    "name",
    [
        "x-roles", "x-role", "x-user-id", "x-user", "x-user-name", "x-user-domain-id", "x-project-id", "x-project-name",
        "x-project-domain-id", "x-tenant-id", "x-tenant", "x-domain-id", "x-is-admin-project", "x-is-admin", "x-identity-status",
        "x-service-identity-status", "x-service-user-id", "x-service-roles", "x-service-project-id", "x-service-catalog",
        "x-system-scope", "x-token-info", "x-trust-id", "x-forwarded-for", "x-forwarded-host", "x-forwarded-prefix",
        "x-forwarded-proto", "forwarded", "remote-user", "x-remote-user", "x-real-ip", "x-original-url", "x-rewrite-url",
        "x-http-method-override", "proxy", "x_roles", "x_user_id", "x_auth_token", "x-auth_token", "openstack-identity-status",
    ],
)  # fmt: skip
def test_a_header_that_only_the_cloud_may_write_never_passes(name: str) -> None:
    assert from_client([(name.encode(), b"admin"), (name.encode(), b"again"), (b"accept", b"a")]) == [(b"accept", b"a")]


def test_what_connection_lists_is_for_one_hop_but_it_cannot_take_away_what_services_rely_on() -> None:
    headers = [
        (b"connection", b"close, X-Private, X-Auth-Token, Content-Length"),
        (b"x-private", b"1"),
        (b"x-auth-token", b"t"),
        (b"content-length", b"3"),
        (b"te", b"trailers"),
        (b"upgrade", b"h2c"),
    ]

    assert end_to_end(headers) == [(b"x-auth-token", b"t"), (b"content-length", b"3")]


@pytest.mark.parametrize(
    "hosts", [[], [b"a", b"b"], [b""], [b"a/b"], [b"a b"], [b"a@b"], [b"a:99999999"], [b"x" * 300]]
)
def test_a_request_needs_one_valid_host(hosts: list[bytes]) -> None:
    with pytest.raises(InvalidInput):
        host_of([(b"host", host) for host in hosts], "1.1")


@pytest.mark.parametrize("host", [b"cloud.example", b"10.0.0.1:8470", b"[::1]:8470", b"[fd00::1]"])
def test_a_valid_host_is_taken(host: bytes) -> None:
    assert host_of([(b"host", host)], "1.1") == host
