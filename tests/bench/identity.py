"""Tokens: issued in three ways, validated over HTTP, checked locally; and the same in a large cloud."""

from __future__ import annotations

import json
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from common.auth.tokens import TokenVerifier, read_token, sign
from common.db.database import Database
from tests.bench.load import Request, timed
from tests.bench.load import measure as load
from tests.bench.report import Figure, told, within
from tests.bench.seed_identity import Size, seed
from tests.harness.clouds import Cloud
from tests.unit.common.test_tokens import a_caller

TOKENS = "/identity/v3/auth/tokens"
BUDGETS_MS = {
    "token issued by password": 60.0,
    "token issued by token": 8.0,
    "token issued by application credential": 8.0,
    "token validated over HTTP": 3.0,
}


def measure(cloud: Cloud) -> list[Figure]:
    taken = p50_ms(cloud)
    return [
        *(within(f"{what}, p50", taken[what], most, "ms") for what, most in BUDGETS_MS.items()),
        within("token checked locally for the first time, p50", first_check_ms(), 0.3, "ms"),
        within("token checked locally again, p50", next_check_ms(), 0.3, "ms"),
        told("tokens by password with 8 clients", f"{issued_by(cloud, 8):.0f}/s"),
    ]


def measure_large(cloud: Cloud) -> list[Figure]:
    """How much longer it takes with 10 000 projects, 100 000 users and 1 000 000 role assignments.  They stay in the cloud."""
    before = p50_ms(cloud)
    cloud.pileus("down")
    [file] = cloud.data.rglob("identity.sqlite")
    database = Database(f"sqlite:///{file}")
    seed(database, Size())
    database.close()
    cloud.pileus("up", "--listen", cloud.listen, "--detach")
    after = p50_ms(cloud)
    return [
        within(f"{what}, 100 000 users to none", after[what] / before[what], 1.2, "x", f" ({after[what]:.3g} ms)")
        for what in before
    ]


def p50_ms(cloud: Cloud) -> dict[str, float]:
    """What each kind of request takes."""
    admin = cloud.sdk("pileus-admin")
    token = admin.authorize()
    user = admin.current_user_id
    mine = {"x-auth-token": token, "x-subject-token": token}
    requests: dict[str, Request] = {
        "token issued by password": posting(login(cloud)),
        "token issued by token": posting(by_token(token)),
        "token issued by application credential": posting(by_credential(cloud)),
        "token validated over HTTP": lambda client: client.get(TOKENS),
        "three users listed": lambda client: client.get("/identity/v3/users?limit=3"),
        "three projects listed": lambda client: client.get("/identity/v3/projects?limit=3"),
        "a user found by name": lambda client: client.get("/identity/v3/users?name=admin"),
        "a user's projects listed": lambda client: client.get(f"/identity/v3/users/{user}/projects"),
        "a user's effective roles listed": lambda client: client.get(
            f"/identity/v3/role_assignments?effective&user.id={user}"
        ),
    }
    return {what: load(cloud.url, mine, request).p50_ms for what, request in requests.items()}


def posting(body: object) -> Request:
    written = json.dumps(body)
    return lambda client: client.post(TOKENS, content=written)


def login(cloud: Cloud) -> dict[str, object]:
    auth = cloud.sdk().config.get_auth_args()
    user = {"name": auth["username"], "domain": {"id": "default"}, "password": auth["password"]}
    scope = {"project": {"name": auth["project_name"], "domain": {"id": "default"}}}
    return {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}


def by_token(token: str) -> dict[str, object]:
    return {"auth": {"identity": {"methods": ["token"], "token": {"id": token}}}}


def by_credential(cloud: Cloud) -> dict[str, object]:
    sdk = cloud.sdk()
    made = sdk.identity.create_application_credential(sdk.current_user_id, name=f"bench {uuid4().hex}")
    credential = {"id": made.id, "secret": made.secret}
    return {"auth": {"identity": {"methods": ["application_credential"], "application_credential": credential}}}


def issued_by(cloud: Cloud, clients: int) -> float:
    return load(cloud.url, {}, posting(login(cloud)), clients=clients).per_s


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
