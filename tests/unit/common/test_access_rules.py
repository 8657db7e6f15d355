"""Patterns of access rules."""

from __future__ import annotations

import pytest

from common.auth.access_rules import AccessRule


@pytest.mark.parametrize(
    ("pattern", "path", "is_allowed"),
    [
        ("/v2.1/servers", "/v2.1/servers", True),
        ("/v2.1/servers", "/v2x1/servers", False),
        ("/v2.1/servers", "/v2.1/servers/1", False),
        ("/v2.1/servers/*/ips", "/v2.1/servers/1/ips", True),
        ("/v2.1/servers/*/ips", "/v2.1/servers/1/2/ips", False),
        ("/v2.1/servers/*", "/v2.1/servers/", False),
        ("/v2.1/servers/{server_id}", "/v2.1/servers/1", True),
        ("/v2.1/servers/{server_id}", "/v2.1/servers/1/action", False),
        ("/v2.1/**", "/v2.1/servers/1/action", True),
        ("/v2.1/**", "/v3/servers", False),
        ("**", "/anything/at/all", True),
        ("/a/**/z", "/a/b/c/z", True),
        ("/a(b|c)+[d]{", "/a(b|c)+[d]{", True),
        ("/a/*", "/a/b\n", True),
        ("/a/b", "/a/b\n", False),
    ],
)
def test_a_pattern_allows_what_it_says_and_no_more(pattern: str, path: str, is_allowed: bool) -> None:
    assert AccessRule("compute", "GET", pattern).allows("compute", "GET", [path]) is is_allowed


def test_service_and_method_must_be_the_same() -> None:
    rule = AccessRule("compute", "GET", "**")

    assert not rule.allows("image", "GET", ["/x"]) and not rule.allows("compute", "POST", ["/x"])
