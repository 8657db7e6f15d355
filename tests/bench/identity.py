"""Tokens: issued by password, validated over HTTP, checked locally."""

from __future__ import annotations

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from common.auth.tokens import TokenVerifier, read_token, sign
from tests.bench.load import measure as load
from tests.bench.load import timed
from tests.bench.report import Figure, told, within
from tests.harness.clouds import Cloud
from tests.unit.common.test_tokens import a_caller


def measure(cloud: Cloud) -> list[Figure]:
    sdk = cloud.sdk()
    token = sdk.authorize()
    body = login(cloud)
    by_password = load(cloud.url, {}, lambda client: client.post("/identity/v3/auth/tokens", json=body))
    mine = {"x-auth-token": token, "x-subject-token": token}
    validated = load(cloud.url, mine, lambda client: client.get("/identity/v3/auth/tokens"))
    return [
        within("token issued by password, p50", by_password.p50_ms, 60, "ms"),
        within("token validated over HTTP, p50", validated.p50_ms, 3, "ms"),
        within("token checked locally for the first time, p50", first_check_ms(), 0.3, "ms"),
        within("token checked locally again, p50", next_check_ms(), 0.3, "ms"),
        told("tokens by password with 8 clients", f"{issued_by(cloud, 8):.0f}/s"),
    ]


def login(cloud: Cloud) -> dict[str, object]:
    auth = cloud.sdk().config.get_auth_args()
    user = {"name": auth["username"], "domain": {"id": "default"}, "password": auth["password"]}
    scope = {"project": {"name": auth["project_name"], "domain": {"id": "default"}}}
    return {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}


def issued_by(cloud: Cloud, clients: int) -> float:
    body = login(cloud)

    def ask(client: httpx.Client) -> httpx.Response:
        return client.post("/identity/v3/auth/tokens", json=body)

    return load(cloud.url, {}, ask, clients=clients).per_s


def first_check_ms() -> float:
    key = Ed25519PrivateKey.generate()
    token, keys = sign(a_caller(), key=key, key_id="k"), {"k": key.public_key()}
    return timed(lambda: read_token(token, keys), times=500)[0]


def next_check_ms() -> float:
    key = Ed25519PrivateKey.generate()
    token = sign(a_caller(), key=key, key_id="k")
    verifier = TokenVerifier(fetch_keys=lambda: {"k": key.public_key()}, fetch_revocations=list)
    verifier.verify(token)
    return timed(lambda: verifier.verify_here(token), times=500)[0]
