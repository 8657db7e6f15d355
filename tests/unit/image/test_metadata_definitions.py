"""Metadata definitions: namespaces and what is in them; administrators write, readers read."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from tests.unit.image.world import World

PATH = "/v2/metadefs/namespaces"

OF_OPENSTACK = ("Cinder", "Compute", "Glance", "Software")


@pytest.fixture
def namespace(world: World) -> str:
    body = {"namespace": "Ours", "display_name": "Our own", "visibility": "public"}
    assert world.admin.post(PATH, json=body).status_code == 201
    return f"{PATH}/Ours"


def test_the_usual_namespaces_are_there_from_the_start(world: World) -> None:
    listed = world.alice.get(f"{PATH}?limit=100").json()
    shown = world.alice.get(f"{PATH}/OS::Compute::CPUPinning").json()
    types = world.alice.get("/v2/metadefs/resource_types").json()["resource_types"]

    assert "OS::Compute::LibvirtImage" in [one["namespace"] for one in listed["namespaces"]]
    assert shown["properties"]["cpu_policy"]["enum"] == ["shared", "dedicated"]
    assert {"OS::Glance::Image", "OS::Nova::Flavor"} <= {one["name"] for one in types}
    jsonschema.validate(shown, world.alice.get("/v2/schemas/metadefs/namespace").json())


def test_usual_properties_say_what_they_do(world: World) -> None:
    """Those of the Common Information Model are described by its own makers."""
    listed = world.alice.get("/v2/metadefs/namespaces?limit=100").json()["namespaces"]
    names = [one["namespace"] for one in listed if not one["namespace"].startswith("CIM::")]

    found = [world.alice.get(f"/v2/metadefs/namespaces/{name}").json() for name in names]

    parts = [part for one in found for part in [one, *one.get("objects", [])]]
    properties = {name: body for part in parts for name, body in part.get("properties", {}).items()}
    assert len(properties) > 100
    assert [name for name, body in properties.items() if len(body.get("description", "")) < 20] == []


def test_every_usual_namespace_is_whole_and_as_its_schema_says(world: World) -> None:
    schema = world.alice.get("/v2/schemas/metadefs/namespace").json()
    names = [one["namespace"] for one in world.alice.get(f"{PATH}?limit=100").json()["namespaces"]]

    shown = {name: world.alice.get(f"{PATH}/{name}").json() for name in names}

    for one in shown.values():
        jsonschema.validate(one, schema)
        assert one["display_name"] and one["description"] and (one.get("properties") or one.get("objects"))
    assert len(shown) == 33
    assert {name.rpartition("::")[0] for name in shown} == {"CIM", "OS", *(f"OS::{one}" for one in OF_OPENSTACK)}
    databases = {one["name"]: one["properties"] for one in shown["OS::Software::DBMS"]["objects"]}
    assert databases["PostgreSQL"]["sw_database_postgresql_listen_port"]["default"] == 5432
    assert shown["CIM::ProcessorAllocationSettingData"]["properties"]["ProcessorArchitecture"]["operators"] == ["<or>"]


def test_a_resource_type_s_prefix_is_put_before_the_names(world: World) -> None:
    shown = world.alice.get(f"{PATH}/OS::Compute::CPUPinning?resource_type=OS::Nova::Flavor").json()

    assert "hw:cpu_policy" in shown["properties"]


def test_namespaces_are_filtered_by_resource_type_and_paged(world: World, namespace: str) -> None:
    for_flavors = world.alice.get(f"{PATH}?resource_types=OS::Nova::Flavor&limit=100").json()["namespaces"]
    names, path = [], f"{PATH}?limit=5&sort_key=namespace&sort_dir=asc"
    while path:
        page = world.alice.get(path).json()
        names += [one["namespace"] for one in page["namespaces"]]
        path = page.get("next", "")

    assert "OS::Compute::Quota" in [one["namespace"] for one in for_flavors]
    assert "Ours" not in [one["namespace"] for one in for_flavors]
    assert names == sorted(names)
    assert "Ours" in names


def test_a_namespace_is_made_with_all_that_belongs_to_it(world: World) -> None:
    body = {
        "namespace": "Whole",
        "visibility": "public",
        "resource_type_associations": [{"name": "OS::Glance::Image", "prefix": "x_"}],
        "properties": {"colour": {"title": "Colour", "type": "string", "enum": ["red"]}},
        "objects": [{"name": "Engine", "properties": {"power": {"title": "Power", "type": "integer"}}}],
        "tags": [{"name": "new"}],
    }

    made = world.admin.post(PATH, json=body)

    assert made.status_code == 201
    shown = world.alice.get(f"{PATH}/Whole").json()
    assert shown == made.json()
    assert shown["properties"] == body["properties"]
    assert [one["name"] for one in shown["objects"]] == ["Engine"]
    assert shown["tags"] == [{"name": "new"}]
    assert shown["resource_type_associations"][0]["prefix"] == "x_"


def test_a_namespace_is_renamed_protected_and_deleted_with_its_content(world: World, namespace: str) -> None:
    world.admin.post(f"{namespace}/tags/one")
    renamed = world.admin.put(namespace, json={"namespace": "Theirs", "visibility": "public", "protected": True})
    refused = world.admin.delete(f"{PATH}/Theirs")
    kept = world.admin.delete(f"{PATH}/Theirs/tags/one")
    world.admin.put(f"{PATH}/Theirs", json={"namespace": "Theirs", "protected": False})

    assert (renamed.status_code, refused.status_code, kept.status_code) == (200, 403, 403)
    assert world.admin.delete(f"{PATH}/Theirs").status_code == 204
    assert world.admin.get(f"{PATH}/Theirs").status_code == world.admin.get(namespace).status_code == 404


def test_a_private_namespace_is_its_owner_s_alone(world: World) -> None:
    world.admin.post(PATH, json={"namespace": "Hidden", "visibility": "private"})

    assert world.alice.get(f"{PATH}/Hidden").status_code == 200  # the administrator's own project
    assert world.bob.get(f"{PATH}/Hidden").status_code == 404
    assert "Hidden" not in world.bob.get(f"{PATH}?limit=100").text


PARTS: list[tuple[str, dict[str, Any]]] = [
    ("objects", {"name": "a", "description": "An object", "properties": {"p": {"title": "P", "type": "string"}}}),
    ("properties", {"name": "a", "title": "A", "type": "string", "enum": ["x"]}),
]


@pytest.mark.parametrize(("kind", "body"), PARTS, ids=["objects", "properties"])
def test_parts_are_made_shown_renamed_and_deleted(
    world: World, namespace: str, kind: str, body: dict[str, Any]
) -> None:
    made = world.admin.post(f"{namespace}/{kind}", json=body)
    twice = world.admin.post(f"{namespace}/{kind}", json=body)
    shown = world.alice.get(f"{namespace}/{kind}/a").json()
    renamed = world.admin.put(f"{namespace}/{kind}/a", json=body | {"name": "b"})
    listed = world.alice.get(f"{namespace}/{kind}").json()[kind]
    deleted = world.admin.delete(f"{namespace}/{kind}/b")

    assert (made.status_code, twice.status_code, renamed.status_code, deleted.status_code) == (201, 409, 200, 204)
    assert {name: shown[name] for name in body} == body
    assert (list(listed) if kind == "properties" else [one["name"] for one in listed]) == ["b"]
    assert world.alice.get(f"{namespace}/{kind}/b").status_code == 404


def test_tags_are_set_at_once_one_by_one_and_beside_others(world: World, namespace: str) -> None:
    tags, more = f"{namespace}/tags", {"x-openstack-append": "True"}

    world.admin.post(tags, json={"tags": [{"name": "a"}, {"name": "b"}]})
    world.admin.post(tags, json={"tags": [{"name": "c"}]}, headers=more)
    world.admin.post(f"{tags}/d")
    world.admin.put(f"{tags}/a", json={"name": "z"})
    names = [one["name"] for one in world.alice.get(tags).json()["tags"]]
    world.admin.post(tags, json={"tags": [{"name": "only"}]})

    assert set(names) == {"b", "c", "d", "z"}
    assert [one["name"] for one in world.alice.get(tags).json()["tags"]] == ["only"]
    assert world.admin.delete(tags).status_code == 204
    assert world.alice.get(tags).json()["tags"] == []


def test_resource_types_are_tied_and_untied(world: World, namespace: str) -> None:
    ties = f"{namespace}/resource_types"

    made = world.admin.post(ties, json={"name": "OS::Glance::Image", "prefix": "p_"})
    twice = world.admin.post(ties, json={"name": "OS::Glance::Image"})
    listed = world.alice.get(ties).json()["resource_type_associations"]
    untied = world.admin.delete(f"{ties}/OS::Glance::Image")

    assert (made.status_code, twice.status_code, untied.status_code) == (201, 409, 204)
    assert [(one["name"], one["prefix"]) for one in listed] == [("OS::Glance::Image", "p_")]
    assert world.admin.delete(f"{ties}/OS::Glance::Image").status_code == 404


def test_only_administrators_write(world: World, namespace: str) -> None:
    alice = world.alice

    answers = [
        alice.post(PATH, json={"namespace": "X"}),
        alice.put(namespace, json={"namespace": "Ours"}),
        alice.delete(namespace),
        alice.post(f"{namespace}/objects", json={"name": "x"}),
        alice.post(f"{namespace}/properties", json={"name": "x", "title": "X", "type": "string"}),
        alice.post(f"{namespace}/tags/x"),
        alice.post(f"{namespace}/resource_types", json={"name": "x"}),
    ]

    assert [one.status_code for one in answers] == [403] * len(answers)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"namespace": ""},
        {"namespace": "x" * 81},
        {"namespace": "x", "visibility": "shared"},
        {"namespace": "x", "protected": "yes"},
        {"namespace": "x", "properties": {"p": {"type": "string"}}},
        {"namespace": "x", "objects": [{"name": "o", "properties": {"p": {"type": "colour"}}}]},
        {"namespace": "x", "tags": [{"name": 1}]},
        [],
    ],
    ids=str,
)
def test_a_namespace_that_cannot_be_is_400(world: World, body: Any) -> None:
    assert world.admin.post(PATH, json=body).status_code == 400


@pytest.mark.parametrize("kind", ["tags", "objects"])
def test_tags_and_objects_are_paged_and_sorted(world: World, namespace: str, kind: str) -> None:
    for name in ("b", "c", "a"):
        body, path = ({"name": name}, kind) if kind == "objects" else (None, f"tags/{name}")
        assert world.admin.post(f"{namespace}/{path}", json=body).status_code == 201

    def listed(query: str) -> list[str]:
        return [one["name"] for one in world.alice.get(f"{namespace}/{kind}{query}").json()[kind]]

    newest = "?sort_key=created_at&sort_dir=desc"
    assert listed("") == (["a", "c", "b"] if kind == "tags" else ["a", "b", "c"])
    assert listed(newest) == ["a", "c", "b"]
    assert listed("?sort_key=name&sort_dir=asc") == ["a", "b", "c"]
    assert listed(f"{newest}&limit=2") == ["a", "c"]
    assert listed(f"{newest}&limit=2&marker=c") == ["b"]
    assert listed("?sort_key=name&sort_dir=asc&limit=1&marker=a") == ["b"]
    assert listed("?limit=0") == []


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=x", 400),
        ("limit=-1", 400),
        ("sort_dir=up", 400),
        ("sort_key=body", 400),
        ("visibility=x", 400),
        ("marker=x", 404),
    ],
)
@pytest.mark.parametrize("where", ["/tags", "/objects", ""])
def test_pages_that_cannot_be_are_refused(world: World, namespace: str, where: str, query: str, status: int) -> None:
    path = f"{namespace}{where}" if where else PATH

    assert world.alice.get(f"{path}?{query}").status_code == status
