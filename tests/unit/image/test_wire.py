"""What clients see around the operations: errors in the form they ask for, versions, schemas, discovery."""

from __future__ import annotations

from typing import Any

import httpx
import jsonschema
import pytest

from tests.unit.image.world import World

PAGE = """<html>
 <head>
  <title>404 Not Found</title>
 </head>
 <body>
  <h1>404 Not Found</h1>
  No image found with ID none<br /><br />



 </body>
</html>"""


@pytest.fixture
def nobody(world: World) -> httpx.Client:
    """Somebody without a token."""
    world.people["nobody", ()] = httpx.Client(transport=world.inside.transport(), base_url="http://image")
    return world.people["nobody", ()]


@pytest.mark.parametrize("accept", ["*/*", "text/html", "text/html, application/json;q=0.9", "", "image/png, */*"])
def test_an_error_is_a_page_for_those_who_take_anything(world: World, accept: str) -> None:
    answer = world.alice.get("/v2/images/none", headers={"accept": accept})

    assert (answer.status_code, answer.text) == (404, PAGE)
    assert answer.headers["content-type"] == "text/html; charset=UTF-8"
    assert answer.headers["x-openstack-request-id"].startswith("req-")


@pytest.mark.parametrize("accept", ["application/json", "application/*", "application/json, text/html;q=0.1"])
def test_an_error_is_json_for_those_who_ask_for_it(world: World, accept: str) -> None:
    answer = world.alice.get("/v2/images/none", headers={"accept": accept})

    assert answer.status_code == 404
    assert answer.json() == {
        "message": "No image found with ID none<br /><br />\n\n\n",
        "code": "404 Not Found",
        "title": "Not Found",
    }


def test_an_error_is_plain_text_for_those_who_do_not_say(world: World) -> None:
    request = world.alice.build_request("GET", "/v2/images/none")
    del request.headers["accept"]

    answer = world.alice.send(request)

    assert answer.headers["content-type"] == "text/plain; charset=UTF-8"
    assert answer.text.startswith("404 Not Found\n\nNo image found with ID none\n")


def test_what_a_stranger_wrote_is_harmless_in_a_page(world: World) -> None:
    answer = world.alice.get("/v2/images", params={"sort": "<script>alert(1)</script>"}, headers={"accept": "*/*"})

    assert answer.status_code == 400
    assert "<script>" not in answer.text
    assert "&lt;script&gt;" in answer.text


@pytest.mark.parametrize("token", [None, "", "nonsense", "x" * 100_000])
def test_without_a_good_token_it_is_401_and_says_where_to_get_one(nobody: httpx.Client, token: str | None) -> None:
    headers = {"accept": "*/*"} | ({"x-auth-token": token} if token is not None else {})

    answer = nobody.get("/v2/images", headers=headers)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Keystone uri="http://cloud.test/identity"'
    assert "<h1>401 Unauthorized</h1>" in answer.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", "/v2/images"), ("POST", "/v2/images"), ("GET", "/v2/images/x"), ("PATCH", "/v2/images/x")),
        *(("DELETE", "/v2/images/x"), ("PUT", "/v2/images/x/file"), ("GET", "/v2/images/x/file")),
        *(("PUT", "/v2/images/x/tags/t"), ("DELETE", "/v2/images/x/tags/t"), ("GET", "/v2/schemas/image")),
        *(("GET", "/v2/schemas/images"), ("GET", "/v2/info/import"), ("GET", "/v2/info/stores")),
    ],
)
def test_every_operation_needs_a_token(nobody: httpx.Client, method: str, path: str) -> None:
    assert nobody.request(method, path).status_code == 401


def test_the_versions_are_told_to_everybody(nobody: httpx.Client) -> None:
    root, listed, v2 = (nobody.get(path) for path in ("/", "/versions", "/v2/"))

    assert (root.status_code, listed.status_code, v2.status_code) == (300, 200, 200)
    assert root.json() == listed.json() == v2.json()
    versions: list[dict[str, Any]] = root.json()["versions"]
    assert [one["id"] for one in versions] == [f"v2.{minor}" for minor in range(17, -1, -1)]
    assert [one["status"] for one in versions] == ["CURRENT"] + ["SUPPORTED"] * 17
    assert {one["links"][0]["href"] for one in versions} == {"http://cloud.test/image/v2/"}


def test_the_schema_fits_what_answers_show(world: World) -> None:
    image = world.active(colour="red", os_distro="debian")
    schema, schemas = world.alice.get("/v2/schemas/image").json(), world.alice.get("/v2/schemas/images").json()

    jsonschema.Draft4Validator.check_schema(schema)
    jsonschema.validate(image, schema)
    jsonschema.validate(world.alice.get("/v2/images").json(), schemas)

    assert schema["additionalProperties"] == {"type": "string"}
    assert schemas["properties"]["images"]["items"] == schema


def test_unknown_paths_and_methods_are_told_apart(world: World) -> None:
    unknown, wrong = world.alice.get("/v2/nothing"), world.alice.put("/v2/images")

    assert unknown.status_code == 404
    assert unknown.json()["message"].startswith("The resource could not be found.")
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    "image_id", ["none", "an image", "..%2f..%2fetc", "0" * 5000, "😀", "9B6A4AD6-6D0B-4A39-A77B-9E7C2E9F8A11"]
)
def test_a_name_in_place_of_an_id_is_404(world: World, image_id: str) -> None:
    assert world.alice.get(f"/v2/images/{image_id}").status_code == 404


def test_health_tells_whether_database_and_store_work(world: World) -> None:
    well = world.alice.get("/readyz")
    world.kit.store.directory.rename(world.kit.store.directory.with_name("elsewhere"))
    ill = world.alice.get("/readyz")

    assert (well.status_code, ill.status_code) == (200, 503)
    assert set(ill.json()["failing"]) == {"store"}
