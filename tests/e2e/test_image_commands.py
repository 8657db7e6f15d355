"""What people do with images by the unmodified `openstack` command, its SDK, and `pileus image`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.harness.clouds import Cloud
from tests.harness.openstack_shell import Shell, shell_of
from tests.harness.waiting import until

DATA = os.urandom((3 << 20) + 7)


@pytest.fixture(scope="module")
def admin(cloud: Cloud) -> Iterator[Shell]:
    with shell_of(cloud) as shell:
        yield shell


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "image.raw"
    made.write_bytes(DATA)
    return made


def queued(cloud: Cloud, name: str) -> str:
    """Id of an image without bytes: the command would take its own standard input for them."""
    made = cloud.sdk("pileus-admin").image.create_image(
        name, disk_format="raw", container_format="bare", visibility="shared"
    )
    return str(made.id)


def test_an_image_is_made_changed_saved_and_deleted(admin: Shell, name: str, file: Path, tmp_path: Path) -> None:
    options = "image create --disk-format raw --progress --tag a --property os_distro=debian --file"
    made = admin.json(options, str(file), name)
    assert (made["status"], made["properties"]["os_distro"], made["tags"]) == ("active", "debian", ["a"])
    assert made["checksum"] == hashlib.md5(DATA).hexdigest()

    admin("image set --tag b --property speed=88mph --min-disk 1 --hidden", name)
    admin("image unset --tag a --property os_distro", made["id"])
    admin("image save --file", str(tmp_path / "saved"), made["id"])

    shown = admin.json("image show", made["id"])
    assert (shown["tags"], shown["min_disk"], shown["properties"]["os_hidden"]) == (["b"], 1, True)
    assert shown["properties"]["speed"] == "88mph" and "os_distro" not in shown["properties"]
    assert (tmp_path / "saved").read_bytes() == DATA
    admin("image set --deactivate", made["id"])
    admin("image set --activate", made["id"])
    admin("image delete", made["id"])
    assert name in admin.refused("image show", name)


def test_bytes_are_staged_and_imported(cloud: Cloud, admin: Shell, name: str, file: Path) -> None:
    assert "glance-direct" in admin("image import info")
    assert "file" in {row["ID"] for row in admin.json("image stores list")}
    image_id = queued(cloud, name)

    admin("image stage --file", str(file), image_id)
    admin("image import --wait", image_id)

    until(lambda: admin.json("image show", image_id)["status"] == "active", what="the import")
    assert admin.json("image show", image_id)["checksum"] == hashlib.md5(DATA).hexdigest()
    tasks = admin.json("image task list")
    assert admin.json("image task show", tasks[0]["ID"])["status"] == "success"
    admin("image delete", image_id)


def test_an_image_is_imported_as_it_is_made(admin: Shell, name: str, file: Path) -> None:
    made = admin.json("image create --disk-format raw --import --file", str(file), name)

    until(lambda: admin.json("image show", made["id"])["status"] == "active", what="the import")
    admin("image delete", made["id"])


def test_an_image_is_shared(cloud: Cloud, admin: Shell, name: str) -> None:
    project, image_id = admin.json("project create", name), queued(cloud, name)

    admin("image add project", image_id, project["id"])
    for answer, status in (("--reject", "rejected"), ("--pending", "pending"), ("--accept", "accepted")):
        admin("image set", answer, "--project", project["id"], image_id)
        assert admin.json("image member get", image_id, project["id"])["status"] == status
    [member] = admin.json("image member list", image_id)
    assert (member["Member ID"], member["Status"]) == (project["id"], "accepted")
    assert admin.json("image member get", image_id, project["id"])["status"] == "accepted"
    admin("image remove project", image_id, project["id"])
    assert admin.json("image member list", image_id) == []
    admin("image delete", image_id)
    admin("project delete", project["id"])


def test_the_cache_is_managed(admin: Shell, name: str, file: Path) -> None:
    image = admin.json("image create --disk-format raw --file", str(file), name)

    admin("cached image queue", image["id"])
    until(
        lambda: [row["State"] for row in admin.json("cached image list") if row["ID"] == image["id"]] == ["cached"],
        what="the cached image",
    )

    admin("cached image delete", image["id"])
    assert image["id"] not in {row["ID"] for row in admin.json("cached image list")}
    for only in ([], ["--cache"], ["--queue"]):
        admin("cached image queue", image["id"])
        admin("cached image clear", *only)
    admin("image delete", image["id"])


def test_metadata_definitions_are_kept(admin: Shell, name: str) -> None:
    admin("image metadef namespace create --public --description d --display-name n", name)
    schema = '{"enum": ["a"]}'
    admin("image metadef property create --name size --title Size --type string --schema", schema, name)
    admin("image metadef object create --namespace", name, "thing")
    admin("image metadef resource type association create", name, "OS::Glance::Image")

    admin("image metadef namespace set --description second", name)

    assert admin.json("image metadef namespace show", name)["description"] == "second"
    admin("image metadef property set --name size --title Length --type string --schema {}", name, "size")
    assert admin.json("image metadef property show", name, "size")["title"] == "Length"
    assert [row["name"] for row in admin.json("image metadef property list", name)] == ["size"]
    assert "thing" in admin("image metadef object list", name)
    admin("image metadef object update", name, "thing", "--name", "matter")
    assert admin.json("image metadef object show", name, "matter")["namespace_name"] == name
    assert "thing" in admin.refused("image metadef object show", name, "thing")
    assert "OS::Glance::Image" in admin("image metadef resource type association list", name)
    assert "OS::Glance::Image" in admin("image metadef resource type list")
    admin("image metadef property delete", name, "size")
    admin("image metadef object delete", name, "matter")
    admin("image metadef resource type association delete", name, "OS::Glance::Image")
    admin("image metadef namespace delete", name)
    assert name not in admin("image metadef namespace list")


def test_a_property_of_a_usual_object_is_shown(admin: Shell) -> None:
    shown = admin.json("image metadef object property show OS::Software::DBMS MySQL sw_database_mysql_listen_port")

    assert (shown["type"], shown["default"]) == ("integer", 3306)


def test_tags_of_a_namespace_are_taken_away(cloud: Cloud, admin: Shell, name: str) -> None:
    images = cloud.sdk("pileus-admin").image
    images.create_metadef_namespace(namespace=name)
    for tag in "abc":
        images.post(f"/metadefs/namespaces/{name}/tags/{tag}").raise_for_status()

    admin("image metadef namespace unset --tag a", name)
    left = admin.json("image metadef namespace show", name)["tags"]
    admin("image metadef namespace unset --all-tags", name)

    assert [one["name"] for one in left] == ["b", "c"]
    assert admin.json("image metadef namespace show", name)["tags"] == []
    admin("image metadef namespace delete", name)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the SDK leaves files open
def test_the_sdk_uploads_imports_and_downloads_and_checks_what_it_gets(
    cloud: Cloud, name: str, file: Path, tmp_path: Path
) -> None:
    images = cloud.sdk().image

    uploaded = images.create_image(
        name, filename=str(file), disk_format="raw", container_format="bare", validate_checksum=True
    )
    imported = images.create_image(
        f"{name}-2", filename=str(file), disk_format="raw", container_format="bare", use_import=True, wait=True
    )
    images.wait_for_status(imported, status="active", failures=["killed"], wait=60)
    images.download_image(uploaded, output=str(tmp_path / "one"))
    images.download_image(imported, output=str(tmp_path / "two"), stream=True)

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() == DATA
    for image in (uploaded, imported):
        images.delete_image(image)


def test_the_sdk_finds_changes_shares_and_withdraws_an_image(cloud: Cloud, name: str) -> None:
    images = cloud.sdk("pileus-admin").image
    image = images.create_image(name, disk_format="raw", container_format="bare", visibility="shared")
    images.stage_image(image, data=DATA)
    images.import_image(image, method="glance-direct")
    images.wait_for_status(image, status="active", failures=["killed"], wait=60)

    found = images.find_image(name, ignore_missing=False)
    changed = images.update_image(found, min_disk=3)
    images.update_image_properties(changed, description="\u00e9")
    images.add_tag(changed, "t")
    member = images.add_member(image, member_id=uuid4().hex)

    assert (changed.min_disk, images.get_image(image).properties["description"]) == (3, "\u00e9")
    assert [one.id for one in images.images(tag="t", name=name)] == [image.id]
    assert [one.id for one in images.members(image)] == [member.id]
    images.remove_member(member, image=image)
    images.remove_tag(changed, "t")
    images.deactivate_image(image)
    assert images.get_image(image).status == "deactivated"
    images.reactivate_image(image)
    assert b"".join(images.download_image(image, stream=True).iter_content(1 << 20)) == DATA
    images.delete_image(image, ignore_missing=False)
    assert images.find_image(name) is None


def test_the_sdk_keeps_metadata_definitions(cloud: Cloud, name: str) -> None:
    images = cloud.sdk("pileus-admin").image
    namespace = images.create_metadef_namespace(namespace=name, description="first")

    changed = images.update_metadef_namespace(namespace, description="second")
    made = images.create_metadef_object(namespace, name="thing", properties={"a": {"title": "A", "type": "string"}})
    images.create_metadef_property(namespace, name="size", title="Size", type="string")
    images.create_metadef_resource_type_association(namespace, name="OS::Nova::Server")

    assert changed.description == "second"
    assert name in {one.namespace for one in images.metadef_namespaces()}
    assert images.get_metadef_object(made, namespace).properties["a"]["title"] == "A"
    assert [one.name for one in images.metadef_properties(namespace)] == ["size"]
    assert [one.name for one in images.metadef_resource_type_associations(namespace)] == ["OS::Nova::Server"]
    images.delete_all_metadef_objects(namespace)
    images.delete_all_metadef_properties(namespace)
    images.delete_metadef_namespace(namespace, ignore_missing=False)


def test_pileus_brings_images_in_and_out_and_goes_on_where_it_was(
    cloud: Cloud, admin: Shell, name: str, file: Path
) -> None:
    told = cloud.pileus_image("upload", "--name", name, "--disk-format", "raw", str(file))
    image_id = told.split()[-1]
    target = file.with_name("back")
    target.with_name("back.part").write_bytes(DATA[:1000])

    cloud.pileus_image("download", image_id, str(target))

    assert admin.json("image show", image_id)["status"] == "active"
    assert target.read_bytes() == DATA
    begun = queued(cloud, f"{name}-2")
    cloud.sdk("pileus-admin").image.put(
        f"/images/{begun}/file",
        data=DATA[:5000],
        headers={"content-type": "application/octet-stream", "content-range": f"bytes 0-4999/{len(DATA)}"},
    )
    cloud.pileus_image("upload", "--cloud", "pileus-admin", "--resume", begun, str(file))
    assert admin.json("image show", begun)["checksum"] == hashlib.md5(DATA).hexdigest()
    admin("image delete", image_id, begun)
