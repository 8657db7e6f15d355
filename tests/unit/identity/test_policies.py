"""Policy documents and what they are for; OAuth consumers; the JSON home document."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from common.db.counting import counted
from services.identity.core import home
from services.identity.db.delegation_tables import Consumer
from tests.unit.identity.worlds import URL, World


def a_policy(world: World, blob: str = "{}") -> str:
    body = {"policy": {"blob": blob, "type": "application/json"}}
    answer = world.http.post("/v3/policies", headers=world.as_(), json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["policy"]["id"])


def test_a_policy_is_kept_changed_and_deleted(world: World) -> None:
    admin, policy = world.as_(), a_policy(world, "b")
    path = f"/v3/policies/{policy}"

    changed = world.http.patch(path, headers=admin, json={"policy": {"type": "t", "note": 1}}).json()["policy"]

    assert changed == {"note": 1, "id": policy, "type": "t", "blob": "b", "links": {"self": f"{URL}/policies/{policy}"}}
    assert world.get("/v3/policies?type=t", admin)["policies"] == [changed]
    assert world.get("/v3/policies?type=other", admin)["policies"] == []
    assert [world.http.delete(path, headers=admin).status_code for _ in range(2)] == [204, 404]


def test_a_policy_without_a_blob_is_refused(world: World) -> None:
    answer = world.http.post("/v3/policies", headers=world.as_(), json={"policy": {"type": "t"}})

    assert answer.status_code == 400 and "'blob' is a required property" in answer.json()["error"]["message"]


def test_the_nearest_policy_is_that_of_an_endpoint(world: World) -> None:
    admin, service = world.as_(), world.id_of("services", "keystone")
    endpoint = world.get(f"/v3/endpoints?service_id={service}&interface=public", admin)["endpoints"][0]["id"]
    aims = (f"services/{service}", f"services/{service}/regions/RegionOne", f"endpoints/{endpoint}")

    def own() -> object:
        answer = world.http.get(f"/v3/endpoints/{endpoint}/OS-ENDPOINT-POLICY/policy", headers=admin)
        return answer.json()["policy"]["id"] if answer.status_code == 200 else answer.status_code

    assert own() == 404
    for aim in aims:
        policy = a_policy(world)
        path = f"/v3/policies/{policy}/OS-ENDPOINT-POLICY"
        assert world.http.put(f"{path}/{aim}", headers=admin).status_code == 204
        assert world.http.get(f"{path}/{aim}", headers=admin).status_code == 204
        assert own() == policy
        assert endpoint in [one["id"] for one in world.get(f"{path}/endpoints", admin)["endpoints"]]
    assert [world.http.delete(f"{path}/{aim}", headers=admin).status_code for _ in range(2)] == [204, 404]
    assert own() != policy
    assert world.http.put(f"{path}/services/zzz", headers=admin).status_code == 404


def test_the_secret_of_a_consumer_is_told_once_and_kept_sealed(world: World) -> None:
    admin, base = world.as_(), "/v3/OS-OAUTH1/consumers"

    made = world.http.post(base, headers=admin, json={"consumer": {"description": "d"}})

    consumer = made.json()["consumer"]
    secret, path = consumer.pop("secret"), f"{base}/{consumer['id']}"
    assert made.status_code == 201 and len(secret) == 32
    assert world.get(path, admin)["consumer"] == consumer
    assert world.get(base, admin)["consumers"] == [consumer]
    with world.kit.database.reading() as session:
        assert secret not in session.scalars(select(Consumer.sealed)).one()
    changed = world.http.patch(path, headers=admin, json={"consumer": {"description": "e"}})
    assert changed.json()["consumer"]["description"] == "e" and "secret" not in changed.json()["consumer"]
    assert world.http.patch(path, headers=admin, json={"consumer": {"secret": "x"}}).status_code == 400
    assert [world.http.delete(path, headers=admin).status_code for _ in range(2)] == [204, 404]


@pytest.mark.parametrize(
    "path",
    ["policies", "OS-OAUTH1/consumers", "registered_limits", "limits", "regions", "services", "endpoints", "domains"],
)
def test_an_ordinary_member_makes_none_of_these(world: World, path: str) -> None:
    assert world.http.post(f"/v3/{path}", headers=world.as_("demo"), json={}).status_code == 403


def test_the_home_document_names_every_resource(world: World) -> None:
    rel = home.API + "/rel/"

    at_root, at_version = (world.http.get(path, headers={"accept": "application/json-home"}) for path in ("/", "/v3"))

    assert at_root.status_code == at_version.status_code == 200
    assert at_version.headers["content-type"] == "application/json-home"
    resources = at_version.json()["resources"]
    assert resources[rel + "projects"] == {"href": "/projects"}
    assert resources[rel + "user_projects"]["href-template"] == "/users/{user_id}/projects"
    assert resources[rel + "policy"]["href-vars"] == {"policy_id": f"{home.API}/param/policy_id"}
    assert f"{home.API}/ext/OS-OAUTH1/1.0/rel/consumers" in resources
    assert at_root.json()["resources"][rel + "projects"] == {"href": "/v3/projects"}
    assert at_root.json()["resources"].keys() == resources.keys()


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("application/json-home", True),
        ("application/json, application/json-home", False),
        ("application/json;q=0.5, application/json-home", True),
        ("*/*", False),
        ("", False),
        ("application/json-home;q=x", False),
    ],
)
def test_plain_json_is_preferred_when_both_are_welcome(accept: str, wanted: bool) -> None:
    assert home.is_wanted(accept) is wanted


def test_the_endpoints_of_a_policy_take_as_many_queries_however_many_there_are(world: World) -> None:
    admin, policy = world.as_(), a_policy(world)
    service = world.id_of("services", "keystone")
    base = f"/v3/policies/{policy}/OS-ENDPOINT-POLICY"
    assert world.http.put(f"{base}/services/{service}", headers=admin).status_code == 204
    with counted(world.kit.database) as few:
        before = world.get(base + "/endpoints", admin)["endpoints"]
    for number in range(6):
        body = {"service_id": service, "interface": "public", "url": f"http://h{number}", "region": f"r{number}"}
        assert world.http.post("/v3/endpoints", headers=admin, json={"endpoint": body}).status_code == 201

    with counted(world.kit.database) as many:
        after = world.get(base + "/endpoints", admin)["endpoints"]

    assert len(after) == len(before) + 6 and len(many) == len(few)
