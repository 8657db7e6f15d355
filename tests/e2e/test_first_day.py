"""What somebody does on the first day, with the unmodified `openstack` command and a real guest."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest

from tests.harness.clouds import Cloud, run
from tests.harness.waiting import until

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

    until(lambda: LOGIN.search(cloud.openstack("console", "log", "show", server)), within_s=120, every_s=1)

    cloud.openstack("server", "stop", server)
    until(lambda: cloud.openstack_json("server", "show", server)["status"] == "SHUTOFF", within_s=90, every_s=1)
    cloud.openstack("server", "start", server)
    until(lambda: cloud.openstack_json("server", "show", server)["status"] == "ACTIVE", within_s=60, every_s=1)
    cloud.openstack("server", "reboot", "--hard", "--wait", server)
    events = cloud.openstack_json("server", "event", "list", server)
    assert {"create", "stop", "start", "reboot"} <= {one["Action"] for one in events}
    created = next(one["Request ID"] for one in events if one["Action"] == "create")
    steps = cloud.openstack_json("server", "event", "show", server, created)["events"]
    assert all(step["result"] == "Success" for step in steps)

    cloud.openstack("server", "delete", "--wait", server)
    assert server not in {one["Name"] for one in cloud.openstack_json("server", "list")}
    assert shown["id"] not in cloud.domains()


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
        within_s=60,
        every_s=1,
    )

    assert "No valid host was found" in str(failed["fault"])
    assert "MiB" in str(failed["fault"])
    cloud.openstack("server", "delete", "--wait", name)
    cloud.openstack("flavor", "delete", flavor, cloud="pileus-admin")
