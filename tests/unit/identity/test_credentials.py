"""Credentials, EC2 key pairs, and tokens for requests signed with them."""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import select

from services.identity.core.ec2_signatures import Signed, is_right
from services.identity.db.delegation_tables import Credential
from tests.unit.identity.worlds import World, a_user


def a_pair(world: World) -> dict[str, Any]:
    path = f"/v3/users/{world.id_of('users', 'demo')}/credentials/OS-EC2"
    answer = world.http.post(path, headers=world.as_("demo"), json={"tenant_id": world.id_of("projects", "demo")})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()["credential"]
    return found


def signed_with(pair: dict[str, Any], *, at: datetime | None = None) -> dict[str, Any]:
    """A request to EC2, signed in version 2 without any code of ours."""
    stamp = (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    query = f"AWSAccessKeyId={pair['access']}&SignatureMethod=HmacSHA256&SignatureVersion=2&Timestamp={stamp.replace(':', '%3A')}"
    text = f"GET\nec2.test\n/services/Cloud\n{query}"
    signature = b64encode(hmac.digest(pair["secret"].encode(), text.encode(), "sha256")).decode()
    params = {
        "AWSAccessKeyId": pair["access"],
        "SignatureMethod": "HmacSHA256",
        "SignatureVersion": "2",
        "Timestamp": stamp,
    }
    request = {"host": "ec2.test:8773", "verb": "GET", "path": "/services/Cloud", "params": params}
    return {"credentials": {"access": pair["access"], "signature": signature, **request}}


def test_a_credential_is_made_shown_changed_and_deleted(world: World) -> None:
    demo, body = world.as_("demo"), {"credential": {"type": "cert", "blob": "s3cret", "note": "mine"}}

    made = world.http.post("/v3/credentials", headers=demo, json=body).json()["credential"]
    path = f"/v3/credentials/{made['id']}"
    changed = world.http.patch(path, headers=demo, json={"credential": {"blob": "other"}}).json()["credential"]

    assert (made["blob"], made["note"], made["user_id"]) == ("s3cret", "mine", world.id_of("users", "demo"))
    assert changed == made | {"blob": "other"} and world.get(path, demo)["credential"] == changed
    assert [one["id"] for one in world.get("/v3/credentials?type=cert", demo)["credentials"]] == [made["id"]]
    assert world.http.delete(path, headers=demo).status_code == 204
    assert world.http.get(path, headers=world.as_()).status_code == 404


def test_blobs_are_sealed_in_the_database(world: World) -> None:
    body = {"credential": {"type": "cert", "blob": "s3cret"}}
    world.http.post("/v3/credentials", headers=world.as_("demo"), json=body)

    with world.kit.database.reading() as session:
        [sealed] = session.scalars(select(Credential.sealed))
    assert "s3cret" not in sealed


def test_an_ec2_credential_is_kept_under_the_digest_of_its_access_key(world: World) -> None:
    blob = json.dumps({"access": "a", "secret": "s"})
    body = {"credential": {"type": "ec2", "blob": blob, "project_id": world.id_of("projects", "demo")}}

    answers = [world.http.post("/v3/credentials", headers=world.as_("demo"), json=body) for _ in range(2)]

    assert answers[0].json()["credential"]["id"] == sha256(b"a").hexdigest()
    assert [one.status_code for one in answers] == [201, 409]


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "ec2", "blob": "{}", "project_id": "x"},
        {"type": "ec2", "blob": "nonsense", "project_id": "x"},
        {"type": "ec2", "blob": '{"access": "a", "secret": "b"}'},
        {"type": "cert"},
        {"blob": "x"},
        {"type": "cert", "blob": 7},
    ],
)
def test_a_bad_credential_is_refused(world: World, fields: dict[str, object]) -> None:
    answer = world.http.post("/v3/credentials", headers=world.as_("demo"), json={"credential": fields})

    assert answer.status_code == 400


def test_k7_nobody_sees_or_moves_anothers_credential(world: World) -> None:
    demo, eve = world.as_("demo"), a_user(world, "eve")
    own = world.http.post("/v3/credentials", headers=demo, json={"credential": {"type": "cert", "blob": "x"}})
    path, hers = f"/v3/credentials/{own.json()['credential']['id']}", world.as_("eve", "unscoped")

    for_eve = {"type": "cert", "blob": "x", "user_id": eve}
    statuses = [
        world.http.get(path, headers=hers).status_code,
        world.http.patch(path, headers=hers, json={"credential": {"blob": "y"}}).status_code,
        world.http.delete(path, headers=hers).status_code,
        world.http.post("/v3/credentials", headers=demo, json={"credential": for_eve}).status_code,
        world.http.get(f"/v3/users/{eve}/credentials/OS-EC2", headers=demo).status_code,
    ]  # fmt: skip
    moved = [
        world.http.patch(path, headers=demo, json={"credential": change}).status_code
        for change in ({"user_id": eve}, {"project_id": "x"}, {"type": "ec2"})
    ]

    assert statuses == [403] * 5 and moved == [400] * 3
    assert world.get("/v3/credentials", hers)["credentials"] == []


def test_an_ec2_pair_is_made_listed_shown_and_deleted(world: World) -> None:
    pair, demo = a_pair(world), world.as_("demo")
    own = f"/v3/users/{pair['user_id']}/credentials/OS-EC2"

    assert world.get(own, demo)["credentials"] == [pair]
    assert world.get(f"{own}/{pair['access']}", demo)["credential"] == pair
    assert world.http.delete(f"{own}/{pair['access']}", headers=demo).status_code == 204
    assert world.http.get(f"{own}/{pair['access']}", headers=demo).status_code == 404


def test_a_signed_request_gives_a_service_a_token_of_the_signer(world: World) -> None:
    answer = world.http.post("/v3/ec2tokens", headers=world.as_(), json=signed_with(a_pair(world)))

    token = answer.json()["token"]
    assert answer.status_code == 200 and answer.headers["x-subject-token"]
    assert (token["user"]["name"], token["project"]["name"], token["methods"]) == ("demo", "demo", ["ec2credential"])


def test_ec2_tokens_are_for_services_only(world: World) -> None:
    body = signed_with(a_pair(world))

    statuses = [world.http.post("/v3/ec2tokens", headers=who, json=body).status_code for who in ({}, world.as_("demo"))]

    assert statuses == [401, 403]


@pytest.mark.parametrize("reason", ["unknown", "wrong", "old"])
def test_a_signature_that_is_not_right_or_not_fresh_gives_nothing(world: World, reason: str) -> None:
    pair = a_pair(world)
    body = signed_with(pair, at=datetime.now(UTC) - timedelta(hours=1) if reason == "old" else None)
    if reason == "unknown":
        body["credentials"]["access"] = "none"
    if reason == "wrong":
        body["credentials"]["path"] = "/elsewhere"

    assert world.http.post("/v3/ec2tokens", headers=world.as_(), json=body).status_code == 401


def test_an_s3_signature_tells_who_signed_and_gives_no_token(world: World) -> None:
    pair, text = a_pair(world), b"GET\n\n\nMon, 02 Mar 2026 10:00:00 GMT\n/bucket/object"
    signature = b64encode(hmac.digest(pair["secret"].encode(), text, "sha1")).decode()
    credentials = {"access": pair["access"], "signature": signature, "token": b64encode(text).decode()}

    answer = world.http.post("/v3/s3tokens", headers=world.as_(), json={"credentials": credentials})
    wrong = world.http.post("/v3/s3tokens", headers=world.as_(), json={"credentials": credentials | {"token": "eA=="}})

    assert answer.json()["token"]["user"]["name"] == "demo" and "x-subject-token" not in answer.headers
    assert wrong.status_code == 401


def test_version_4_is_computed_as_amazons_documentation_shows() -> None:
    authorization = (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )
    signed = Signed(
        signature="5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
        host="iam.amazonaws.com",
        verb="GET",
        path="/",
        params={"Action": "ListUsers", "Version": "2010-05-08"},
        headers={
            "authorization": authorization,
            "content-type": "application/x-www-form-urlencoded; charset=utf-8",
            "x-amz-date": "20150830T123600Z",
        },
        body_hash=sha256(b"").hexdigest(),
    )

    assert is_right(signed, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY") and not is_right(signed, "another")
