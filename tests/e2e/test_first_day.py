"""What somebody does on the first day, with the unmodified `openstack` command and a real guest."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.harness.clouds import Cloud, run
from tests.harness.waiting import until
from tests.security.platform.people import storage_of

LOGIN = re.compile(r"login:")


@pytest.fixture
def server(cloud: Cloud) -> str:
    """Name of a running server; it is deleted by the test that asks for it, or with the cloud."""
    name = f"first-{uuid4().hex[:6]}"
    created = cloud.openstack_json(
        "server", "create", "--wait", "--flavor", "pileus.nano", "--image", "pileus-guest", "--nic", "none", name
    )
    assert created["status"] == "ACTIVE"
    return name


def test_a_server_is_created_used_and_deleted(cloud: Cloud, server: str) -> None:
    shown = cloud.openstack_json("server", "show", server)
    assert shown["status"] == "ACTIVE"
    assert server in {one["Name"] for one in cloud.openstack_json("server", "list")}
    assert shown["id"] in cloud.domains()

    until(lambda: LOGIN.search(cloud.openstack("console", "log", "show", server)), within_s=240, every_s=1)

    cloud.openstack("server", "stop", server)
    until(lambda: cloud.openstack_json("server", "show", server)["status"] == "SHUTOFF", within_s=180, every_s=1)
    cloud.openstack("server", "start", server)
    until(lambda: cloud.openstack_json("server", "show", server)["status"] == "ACTIVE", every_s=1)
    cloud.openstack("server", "reboot", "--hard", "--wait", server)
    events = cloud.openstack_json("server", "event", "list", server)
    assert {"create", "stop", "start", "reboot"} <= {one["Action"] for one in events}
    created = next(one["Request ID"] for one in events if one["Action"] == "create")
    steps = cloud.openstack_json("server", "event", "show", server, created)["events"]
    assert all(step["result"] == "Success" for step in steps)

    cloud.openstack("server", "delete", "--wait", server)
    assert server not in {one["Name"] for one in cloud.openstack_json("server", "list")}
    assert shown["id"] not in cloud.domains()


def test_what_a_guest_wrote_is_in_its_image_and_outlives_shelving(cloud: Cloud, tmp_path: Path) -> None:
    name = f"kept-{uuid4().hex[:6]}"
    (tmp_path / "script").write_text('#!/bin/sh\necho kept > /root/kept; sync; echo "WROTE it" > /dev/ttyS0\n')
    given = ("--flavor", "pileus.nano", "--image", "pileus-guest", "--nic", "none")
    server = cloud.openstack_json("server", "create", *given, "--user-data", str(tmp_path / "script"), name)
    until(lambda: "WROTE it" in cloud.openstack("console", "log", "show", name, check=False), within_s=240, every_s=1)

    cloud.openstack("server", "image", "create", "--wait", "--name", f"{name}-image", name)
    cloud.openstack("server", "backup", "create", "--name", f"{name}-backup", "--type", "daily", "--rotate", "0", name)
    image = cloud.openstack_json("image", "show", f"{name}-image")
    assert (image["status"], image["properties"]["instance_uuid"]) == ("active", server["id"])
    until(lambda: task_of(cloud, name) is None, every_s=1)
    assert f"{name}-backup" not in {one["Name"] for one in cloud.openstack_json("image", "list")}, "none are kept"

    cloud.openstack("server", "shelve", "--wait", name)
    shelved = cloud.openstack_json("server", "show", name)
    assert (shelved["status"], server["id"] in cloud.domains()) == ("SHELVED_OFFLOADED", False)
    cloud.openstack("server", "unshelve", "--wait", name)

    until(  # a saga of its own
        lambda: f"{name}-shelved" not in {one["Name"] for one in cloud.openstack_json("image", "list")},
        what="the end of the image that it came back from",
    )
    assert until(lambda: kept_in(server["id"]), within_s=240, every_s=1, what="the guest's agent") == "kept"
    assert [path.name for path in storage_of(cloud).glob("copies/*")] == []
    cloud.openstack("server", "delete", "--wait", name)
    cloud.openstack("image", "delete", f"{name}-image")


def task_of(cloud: Cloud, name: str) -> object:
    return cloud.openstack_json("server", "show", name)["OS-EXT-STS:task_state"]


def kept_in(server_id: str) -> str | None:
    """What the agent in the guest reads from its disk; None while it does not answer."""

    def ask(command: str, **arguments: object) -> Any:
        asked = json.dumps({"execute": command, "arguments": arguments})
        told = run("virsh", "-q", "-c", "qemu:///system", "qemu-agent-command", server_id, asked, check=False)
        return json.loads(told)["return"] if told.strip() else None

    handle = ask("guest-file-open", path="/root/kept", mode="r")
    read = None if handle is None else ask("guest-file-read", handle=handle)
    return None if read is None else b64decode(read["buf-b64"]).decode().strip()


def test_an_image_of_one_s_own_is_uploaded_and_comes_back_whole(
    cloud: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("image")
    run("qemu-img", "create", "-q", "-f", "qcow2", str(folder / "empty.qcow2"), "32M")
    name = f"empty-{uuid4().hex[:6]}"

    cloud.openstack(
        "image",
        "create",
        "--disk-format",
        "qcow2",
        "--container-format",
        "bare",
        "--file",
        str(folder / "empty.qcow2"),
        name,
    )
    cloud.openstack("image", "save", "--file", str(folder / "back.qcow2"), name)
    cloud.openstack("image", "delete", name)

    assert (folder / "back.qcow2").read_bytes() == (folder / "empty.qcow2").read_bytes()


def test_an_administrator_sees_hosts_services_and_flavors(cloud: Cloud) -> None:
    name = f"f-{uuid4().hex[:6]}"

    cloud.openstack("flavor", "create", "--ram", "128", "--disk", "1", "--vcpus", "1", name, cloud="pileus-admin")

    hypervisors = cloud.openstack_json("hypervisor", "list", cloud="pileus-admin")
    services = cloud.openstack_json("compute", "service", "list", cloud="pileus-admin")
    shown = cloud.openstack_json("hypervisor", "show", hypervisors[0]["Hypervisor Hostname"], cloud="pileus-admin")
    assert {one["State"] for one in hypervisors} == {"up"}
    assert shown["state"] == "up"
    assert {one["State"] for one in services} == {"up"}
    assert "nova-compute" in {one["Binary"] for one in services}
    cloud.openstack("flavor", "delete", name, cloud="pileus-admin")


def test_a_token_is_issued_and_the_catalog_names_what_is_there(cloud: Cloud) -> None:
    token = cloud.openstack_json("token", "issue")
    catalog = cloud.openstack_json("catalog", "list")

    assert token["id"]
    assert {"identity", "image", "compute"} <= {one["Type"] for one in catalog}


def test_status_and_doctor_find_all_well(cloud: Cloud) -> None:
    cloud.pileus("status")
    cloud.pileus("doctor")


def test_the_demo_ends_at_a_login_prompt(cloud: Cloud) -> None:
    assert LOGIN.search(cloud.pileus("demo", "--delete"))


def test_a_server_that_fits_nowhere_says_what_would_fit(cloud: Cloud) -> None:
    flavor = f"huge-{uuid4().hex[:6]}"
    cloud.openstack("flavor", "create", "--ram", "900000", "--disk", "1", "--vcpus", "1", flavor, cloud="pileus-admin")
    cloud.openstack("quota", "set", "--ram", "-1", "demo", cloud="pileus-admin")
    name = f"toobig-{uuid4().hex[:6]}"

    cloud.openstack("server", "create", "--flavor", flavor, "--image", "pileus-guest", "--nic", "none", name)
    failed = until(
        lambda: (shown := cloud.openstack_json("server", "show", name))["status"] == "ERROR" and shown,
        every_s=1,
    )

    assert "No valid host was found" in str(failed["fault"])
    assert "MiB" in str(failed["fault"])
    cloud.openstack("server", "delete", "--wait", name)
    cloud.openstack("flavor", "delete", flavor, cloud="pileus-admin")
