"""Key pairs."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.unit.compute.api.world import ADMIN, ALICE, ALICES_USER, URL, World, a_token

PATH = "/v2.1/os-keypairs"
PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGmVTCSzRzn0Il2Wf2XxVjN4VhCQXnE5kfx7JKFoDZBi me@here"


def make(world: World, version: str = "2.1", **fields: Any) -> Any:
    return world.at(version).post(PATH, json={"keypair": {"name": "mine"} | fields})


@pytest.mark.parametrize(("version", "made", "deleted"), [("2.1", 200, 202), ("2.2", 201, 204)])
def test_statuses_are_those_of_the_version(world: World, version: str, made: int, deleted: int) -> None:
    assert make(world, version, public_key=PUBLIC).status_code == made
    assert world.at(version).delete(f"{PATH}/mine").status_code == deleted
    assert world.at(version).delete(f"{PATH}/mine").json() == {
        "itemNotFound": {"code": 404, "message": f"Keypair mine not found for user {ALICES_USER}"}
    }


def test_a_generated_private_key_fits_the_public_one_and_is_shown_once(world: World) -> None:
    made = make(world).json()["keypair"]

    private = serialization.load_pem_private_key(made["private_key"].encode(), None)
    public = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    assert made["public_key"].startswith(public.decode())
    assert set(made) == {"name", "public_key", "fingerprint", "user_id", "private_key"}
    assert "private_key" not in world.alice.get(f"{PATH}/mine").json()["keypair"]


def test_nothing_is_generated_since_2_92(world: World) -> None:
    refused = make(world, "2.92")

    assert refused.status_code == 400
    assert refused.json()["badRequest"]["message"].endswith("'public_key' is a required property")
    assert make(world, "2.92", public_key=PUBLIC, name="me@here.org").status_code == 201


def test_a_list_wraps_each_of_ones_own_and_links_its_pages_since_2_35(world: World) -> None:
    for name in ("b", "a"):
        make(world, public_key=PUBLIC, name=name)

    whole, page = world.at("2.10").get(PATH).json(), world.at("2.35").get(f"{PATH}?limit=1").json()

    assert [one["keypair"]["name"] for one in whole["keypairs"]] == ["a", "b"]
    assert world.at("2.10").get(f"{PATH}?limit=1").json() == {"keypairs": whole["keypairs"][:1]}
    assert world.at("2.10").get(f"{PATH}?limit=1&marker=a").json() == {"keypairs": whole["keypairs"][1:]}
    assert page["keypairs_links"] == [{"rel": "next", "href": f"{URL}/v2.1/os-keypairs?limit=1&marker=a"}]
    assert world.bob.get(PATH).json() == {"keypairs": []}


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"public_key": "nonsense"}, 400),
        ({"public_key": ""}, 400),
        ({"public_key": "ssh-rsa AAAA"}, 400),
        ({"public_key": "ssh-rsa " + "A" * 20_000}, 400),
        ({"name": ""}, 400),
        ({"name": "a/b"}, 400),
        ({"name": "a.b"}, 400),
        ({"name": "x" * 256}, 400),
        ({"type": "x509"}, 400),  # not before 2.2
        ({"user_id": "u"}, 400),  # not before 2.10
    ],
)
def test_a_malformed_key_pair_is_refused(world: World, fields: dict[str, Any], status: int) -> None:
    assert make(world, **fields).status_code == status


def test_a_name_is_taken_once_and_keys_are_counted(world: World) -> None:
    make(world, public_key=PUBLIC)
    again = make(world, public_key=PUBLIC)
    world.admin().put(f"/v2.1/os-quota-sets/{ALICE}", json={"quota_set": {"key_pairs": 1}})

    over = make(world, public_key=PUBLIC, name="other")

    assert again.json() == {"conflictingRequest": {"code": 409, "message": "Key pair 'mine' already exists."}}
    assert over.json() == {"forbidden": {"code": 403, "message": "Quota exceeded, too many key pairs."}}


def test_only_admins_see_the_keys_of_others(world: World) -> None:
    make(world, public_key=PUBLIC)
    path, headers = f"{PATH}/mine?user_id={ALICES_USER}", {"openstack-api-version": "compute 2.10"}
    operator = {"x-auth-token": a_token(ALICE, ADMIN, user="operator")} | headers

    assert world.bob.get(path, headers=headers).status_code == 403
    assert world.bob.get(path, headers=operator).json()["keypair"]["name"] == "mine"
    assert world.bob.get(path).status_code == 404  # before 2.10 the parameter means nothing


def test_a_server_gets_the_public_key_of_who_asks(world: World) -> None:
    make(world, public_key=PUBLIC)

    server_id = world.server(key_name="mine")

    assert (world.row(server_id).key_name, world.row(server_id).public_key) == ("mine", PUBLIC)
    assert world.bob.post("/v2.1/servers", json=world.order(key_name="mine")).status_code == 400


def test_an_x509_pair_is_a_certificate_of_the_user_and_its_key(world: World) -> None:
    answer = world.at("2.2").post(PATH, json={"keypair": {"name": "windows", "type": "x509"}})

    pair = answer.json()["keypair"]
    certificate = x509.load_pem_x509_certificate(pair["public_key"].encode())
    key = load_pem_private_key(pair["private_key"].encode(), None)
    assert (answer.status_code, pair["type"]) == (201, "x509")
    assert certificate.public_key() == key.public_key()
    assert certificate.subject.rfc4514_string() == f"CN={pair['user_id']}"
    [other] = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert other.value.endswith(f"{pair['user_id']}@localhost".encode())
    assert certificate.fingerprint(SHA1()).hex() == pair["fingerprint"].replace(":", "")
    assert world.at("2.2").get(f"{PATH}/windows").json()["keypair"]["type"] == "x509"
