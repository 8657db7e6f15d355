"""Every route of every service against missing and made-up tokens, strangers' ids and bad input (C1, C2, C8, C11, K3)."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import httpx
import orjson
import pytest
from fastapi.testclient import TestClient

from tests.security.platform.bodies import PLAUSIBLE, hostile_bodies
from tests.security.platform.people import NEWEST, PATCH, Person, Town, microversion
from tests.security.platform.routes import Route, applications, routes_of

PUBLIC = {
    "/identity/", "/identity/v3", "/identity/v3/", "/identity/v3/auth/tokens", "/identity/v3/.well-known/jwks.json",
    "/image/", "/image/v2", "/image/v2/", "/image/versions", "/image/versions/",
    "/compute/", "/compute/v2", "/compute/v2/", "/compute/v2.1", "/compute/v2.1/", "/placement/",
}  # fmt: skip
"""Version documents, signing in, and the public keys: nothing else is answered to people whom nobody knows."""

KNOWS_BY_PASSWORD = "/v3/users/{user_id}/password"  # who chooses another one may have none that is still good

SAME_FOR_ALL = {"GET /compute/v2.1/os-quota-sets/{project_id}/defaults"}  # the cloud's, whoever's they are said to be

ODD_SEGMENTS = (
    "x", "-1", "0", "9" * 40, "a" * 2000, "a\0b", "a\r\nb", "' OR 1=1 --", "%n{{7*7}}$(id)", "\u202e\U0001f600",
    "*", "..%2f..%2fetc", str(uuid4()), uuid4().hex, "\udcff",
)  # fmt: skip
LEAKS = re.compile(
    r'Traceback|File "/|sqlalchemy|sqlite3|psycopg|\bSELECT\b|\bINSERT INTO\b|pydantic|/databases/', re.I
)
REQUEST_ID = re.compile(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[Route]:
    return routes_of(tmp_path_factory.mktemp("routes") / "data")


def is_for_all(route: Route, path: str) -> bool:
    """Whether it answers people whom nobody knows.  A console's page is empty until its websocket is shown a token."""
    return path in PUBLIC or route.path == KNOWS_BY_PASSWORD or route.service == "console"


def complaint(service: str, answer: httpx.Response) -> str | None:
    """What an answer tells that it must not, or lacks."""
    if answer.status_code >= 500:
        return f"{answer.status_code}: {answer.text[:200]}"
    if not REQUEST_ID.fullmatch(answer.headers.get("x-openstack-request-id", "")):
        return "no x-openstack-request-id"
    if answer.status_code >= 400 and (found := LEAKS.search(answer.text)):
        return f"tells {found[0]!r}: {answer.text[:200]}"
    if answer.status_code >= 400 and answer.request.method != "HEAD" and not is_well_formed(service, answer):
        return f"{answer.status_code} of the wrong form: {answer.text[:200]}"
    return None


def is_well_formed(service: str, answer: httpx.Response) -> bool:
    """An error as the service's API words it: its own JSON, or the page for paths that nobody routes."""
    if answer.headers.get("content-type", "").startswith("text/html"):
        return answer.status_code in (404, 405) and "<h1>" in answer.text
    body = orjson.loads(answer.content)
    if service == "image" and set(body) == {"message", "code", "title"}:
        return bool(body["code"].startswith(f"{answer.status_code} "))
    [(kind, fault)] = body.items()
    if service == "placement" and kind == "errors":
        return bool(fault[0]["status"] == answer.status_code and fault[0]["detail"] and fault[0]["request_id"])
    if kind == "error":  # identity's own; elsewhere that of the token check, and of the gateway
        return bool(fault["code"] == answer.status_code and fault["title"] and fault["message"])
    return service == "compute" and fault["code"] == answer.status_code and isinstance(fault["message"], str)


def ask(person: Person, route: Route, path: str, content: bytes = b"", **headers: str) -> httpx.Response:
    kind = PATCH if route.method == "PATCH" else "application/json"
    if route.path.endswith(("/file", "/stage")) and route.method == "PUT":
        kind = "application/octet-stream"
    more = {"accept": "application/json", "content-type": kind, **microversion(NEWEST), **headers}
    return person.ask(route.method, path, content=content, headers=more)


def all_of(work: Callable[[Route], list[str]], routes: list[Route]) -> list[str]:
    """Complaints about every route, a few routes at a time."""
    with ThreadPoolExecutor(4) as threads:
        return [told for found in threads.map(work, routes) for told in found]


def unknown_id(_: str) -> str:
    return str(uuid4())


def test_the_table_has_every_service(routes: list[Route]) -> None:
    assert {route.service for route in routes} == {"identity", "image", "compute", "placement", "console"}
    assert len(routes) > 150
    known = {(route.method, route.path) for route in routes}
    assert set(PLAUSIBLE) <= known, "a body for a route that is gone"


def test_a_wrong_method_is_told_all_those_of_its_path(routes: list[Route], tmp_path: Path) -> None:
    """But by compute, to which such a path is unknown, as it is to Nova."""
    found = []
    for service, app in applications(tmp_path / "data").items():
        asking, own = TestClient(app), [one for one in routes if one.service == service]
        for path in {one.path for one in own if service != "compute"}:
            sample = re.sub(r"{\w+(?::\w+)?}", "x", path)
            patterns = {one.path for one in own if re.fullmatch(re.sub(r"{\w+}", "[^/]+", one.path), sample)}
            expected = sorted({one.method for one in own if one.path in patterns})
            answer = asking.request("REPORT", sample)
            if (answer.status_code, answer.headers.get("allow")) != (405, ", ".join(expected)):
                found.append(f"{service} {path}: {answer.status_code} {answer.headers.get('allow')}, not {expected}")

    assert found == []


def test_nobody_is_answered_without_a_token(routes: list[Route], alice: Person) -> None:
    def asked(route: Route) -> list[str]:
        path = route.at(unknown_id)
        answer = alice.http.request(route.method, path, content=b"{}", headers={"accept": "application/json"})
        wrong = complaint(route.service, answer)
        if not is_for_all(route, path) and answer.status_code != 401:
            wrong = f"{answer.status_code} instead of 401"
        return [f"{route}: {wrong}"] if wrong else []

    assert all_of(asked, routes) == []


def test_k3_nobody_is_answered_with_a_token_that_is_none(routes: list[Route], alice: Person) -> None:
    head, body, signature = alice.token.split(".")
    other = base64.urlsafe_b64encode(base64.urlsafe_b64decode(body + "==").replace(b"member", b"admin!")).decode()
    tokens = ["x", f"{head}.{body}.", f"{head}.{other.rstrip('=')}.{signature}", f"{head}.{body}.{signature[::-1]}"]

    def asked(route: Route) -> list[str]:
        path = route.at(unknown_id)
        if is_for_all(route, path):
            return []
        found = []
        for token in tokens:
            answer = ask(alice, route, path, b"{}", **{"x-auth-token": token})
            wrong = complaint(route.service, answer)
            if answer.status_code != 401:
                wrong = f"{answer.status_code} instead of 401 for {token[:20]}"
            found += [f"{route}: {wrong}"] if wrong else []
        return found

    assert all_of(asked, routes) == []


def test_c8_no_path_and_no_query_is_an_error_of_ours(routes: list[Route], town: Town) -> None:
    queries = (
        "?limit=-1",
        "?limit=99999999999999999999",
        "?limit=x",
        "?marker=%FF%00",
        "?sort_key=password",
        "?name=%00",
    )

    def asked(route: Route) -> list[str]:
        segments = ODD_SEGMENTS if route.parameters else ()
        paths = [route.at(lambda _, odd=odd: quote(odd, safe="", errors="surrogateescape")) for odd in segments]  # type: ignore[misc]
        paths += [route.at(unknown_id) + query for query in queries]
        answers = [(path, ask(town.admin, route, path)) for path in paths]
        return [f"{route} at {path[:80]}: {wrong}" for path, one in answers if (wrong := complaint(route.service, one))]

    assert all_of(asked, [route for route in routes if route.path != "/v3/auth/tokens"]) == []


def test_c8_no_body_is_an_error_of_ours(routes: list[Route], town: Town) -> None:
    def asked(route: Route) -> list[str]:
        path = route.at(unknown_id)
        answers = [(body, ask(town.admin, route, path, body)) for body in hostile_bodies(route)]
        return [f"{route} {body[:120]!r}: {wrong}" for body, one in answers if (wrong := complaint(route.service, one))]

    assert all_of(asked, [route for route in routes if route.takes_body]) == []


def test_c2_what_is_somebody_else_s_looks_like_what_is_not_there(
    routes: list[Route], alice: Person, bob: Person
) -> None:
    mine = things_of(alice)

    def asked(route: Route) -> list[str]:
        kinds = [
            name for name in route.parameters if name in mine and not (name == "name" and "keypairs" not in route.path)
        ]
        if not kinds:
            return []
        body = orjson.dumps(PLAUSIBLE.get((route.method, route.path), {}))
        unknown = {name: str(uuid4()) for name in route.parameters} | {"key": "k"}
        answers = []
        for ids in (unknown | mine, unknown):
            answer = ask(bob, route, route.at(lambda name, ids=ids: ids[name]), body)  # type: ignore[misc]
            answers.append((answer.status_code, blurred(answer.text, ids)))
        is_by_rule = route.service == "identity" or kinds == ["project_id"]  # there, the rule comes before the row
        refused = (401, 403, 404) if is_by_rule else (404, 410)
        if answers[0] == answers[1] and (answers[0][0] in refused or str(route) in SAME_FOR_ALL):
            return []
        return [f"{route}: {answers[0]} for another's, {answers[1]} for nobody's"]

    found = all_of(asked, routes)
    assert found == [], "\n".join(found)
    assert alice.ask("GET", f"/compute/v2.1/servers/{mine['server_id']}").json()["server"]["status"] == "ACTIVE"
    assert alice.ask("GET", f"/image/v2/images/{mine['image_id']}").json()["status"] == "active"
    assert alice.ask("GET", f"/compute/v2.1/os-keypairs/{mine['name']}").status_code == 200


def things_of(person: Person) -> dict[str, str]:
    """Parameter of a route -> id of something that the person has."""
    image, uploaded = person.image(b"\0" * 4096, disk_format="raw")
    assert uploaded.status_code == 204
    server = person.boot(metadata={"k": "v"}, tags=["t"])
    assert server["status"] == "ACTIVE"
    pair = person.made("/compute/v2.1/os-keypairs", {"keypair": {"name": f"key-{uuid4().hex[:8]}"}})
    group = person.made("/compute/v2.1/os-server-groups", {"server_group": {"name": "g", "policies": ["affinity"]}})
    held = {
        "project_id": person.project_id,
        "server_id": server["id"],
        "image_id": image["id"],
        "name": pair["name"],
        "server_group_id": group["id"],
    }
    return held | delegations_of(person)


def delegations_of(person: Person) -> dict[str, str]:
    """What lets programs act in the person's name."""
    home = f"/identity/v3/users/{person.user_id}"
    robot = person.made(f"{home}/application_credentials", {"application_credential": {"name": "robot"}})
    pair = person.made(f"{home}/credentials/OS-EC2", {"tenant_id": person.project_id})
    seed = {"type": "totp", "blob": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "user_id": person.user_id}
    credential = person.made("/identity/v3/credentials", {"credential": seed})
    rules = [{"service": "compute", "method": "GET", "path": "/v2.1/servers"}]
    bound = person.made(
        f"{home}/application_credentials", {"application_credential": {"name": "bound", "access_rules": rules}}
    )
    trust = person.made("/identity/v3/OS-TRUST/trusts", {"trust": to_oneself(person)})
    return {
        "user_id": person.user_id,
        "application_credential_id": robot["id"],
        "access": pair["access"],
        "credential_id": credential["id"],
        "rule_id": bound["access_rules"][0]["id"],
        "trust_id": trust["id"],
        "role_id": trust["roles"][0]["id"],
    }


def to_oneself(person: Person) -> dict[str, object]:
    return {
        "trustor_user_id": person.user_id,
        "trustee_user_id": person.user_id,
        "project_id": person.project_id,
        "impersonation": True,
        "roles": [{"name": "member"}],
    }


def blurred(text: str, ids: dict[str, str]) -> str:
    for value in ids.values():
        text = text.replace(value, "ID")
    return REQUEST_ID.sub("REQ", text)
