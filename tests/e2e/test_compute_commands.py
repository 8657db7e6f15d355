"""What an administrator of hosts, flavors and projects does with the unmodified `openstack` command."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.harness.clouds import Cloud
from tests.harness.openstack_shell import Shell, shell_of
from tests.harness.waiting import until


@pytest.fixture(scope="module")
def admin(two_hosts: Cloud) -> Iterator[Shell]:
    with shell_of(two_hosts) as shell:
        yield shell


@pytest.fixture(scope="module")
def demo(two_hosts: Cloud) -> Iterator[Shell]:
    with shell_of(two_hosts, "pileus") as shell:
        yield shell


@pytest.fixture
def name() -> str:
    """Of something new."""
    return f"new-{uuid4().hex[:8]}"


def names(rows: list[dict[str, str]], column: str = "Name") -> set[str]:
    return {row[column] for row in rows}


def booted(shell: Shell, name: str, *more: str, flavor: str = "m1.tiny") -> dict[str, str]:
    image = shell.json("image list")[0]["ID"]
    shell("server create --nic none --image", image, "--flavor", flavor, *more, name)
    return reached(shell, name, "ACTIVE")


def reached(shell: Shell, name: str, status: str) -> dict[str, str]:
    """The command's own `--wait` looks every five seconds only."""
    until(lambda: shell.json("server show", name)["status"] == status, every_s=0.1, what=status)
    return dict(shell.json("server show", name))


def test_hypervisors_and_hosts(admin: Shell, demo: Shell) -> None:
    rows = admin.json("hypervisor list --long")

    assert names(rows, "Hypervisor Hostname") == {"sim-1", "sim-2"} and names(rows, "State") == {"up"}
    shown = admin.json("hypervisor show sim-1")
    assert shown["hypervisor_hostname"] == "sim-1" and shown["status"] == "enabled"
    assert admin.json("hypervisor list --matching sim-2")[0]["Hypervisor Hostname"] == "sim-2"
    assert admin.json("hypervisor stats show")["count"] == 2
    assert "doesn't allow os_compute_api:os-hypervisors" in demo.refused("hypervisor list")


def test_services_are_disabled_with_a_reason_and_enabled(admin: Shell) -> None:
    services = {row["Host"]: row for row in admin.json("compute service list --service nova-compute")}

    admin("compute service set --disable --disable-reason", "new disk", "sim-2", "nova-compute")

    [row] = admin.json("compute service list --long --host sim-2 --service nova-compute")
    assert (row["Status"], row["Disabled Reason"]) == ("disabled", "new disk")
    assert {one["Host"] for one in admin.json("compute service list")} > set(services)
    admin("compute service set --down sim-2 nova-compute")
    assert admin.json("compute service list --host sim-2 --service nova-compute")[0]["State"] == "down"
    admin("compute service set --up sim-2 nova-compute")
    admin("compute service set --enable sim-2 nova-compute")
    assert admin.json("compute service list --host sim-2 --service nova-compute")[0]["Status"] == "enabled"


def test_aggregates_make_zones(admin: Shell, demo: Shell, name: str) -> None:
    made = admin.json("aggregate create --zone east --property ssd=true", name)
    assert made["availability_zone"] == "east"

    admin("aggregate add host", name, "sim-2")
    admin("aggregate set --property gpu=no --name", f"{name}-2", name)

    shown = admin.json("aggregate show", f"{name}-2")
    assert shown["hosts"] == ["sim-2"] and shown["properties"] == {"ssd": "true", "gpu": "no"}
    assert f"{name}-2" in names(admin.json("aggregate list --long"))
    assert {row["Zone Name"] for row in demo.json("availability zone list --compute")} == {"nova", "east"}
    assert {"internal", "east"} <= {row["Zone Name"] for row in admin.json("availability zone list --compute --long")}
    placed = booted(admin, f"{name}-server", "--availability-zone", "east")
    assert placed["OS-EXT-AZ:availability_zone"] == "east" and placed["OS-EXT-SRV-ATTR:host"] == "sim-2"
    assert "already has 1 instance" in admin.refused("aggregate remove host", f"{name}-2", "sim-2")
    admin("server delete", f"{name}-server")
    until(lambda: f"{name}-server" not in names(admin.json("server list")), every_s=0.1, what="the server's end")
    admin("aggregate unset --property gpu", f"{name}-2")
    admin("aggregate remove host", f"{name}-2", "sim-2")
    admin("aggregate delete", f"{name}-2")


def test_flavors_with_specs_and_access(admin: Shell, demo: Shell, name: str) -> None:
    made = admin.json(
        "flavor create --id auto --ram 128 --vcpus 2 --disk 1 --private --property hw:cpu_policy=shared --description d",
        name,
    )
    assert made["properties"] == {"hw:cpu_policy": "shared"} and made["os-flavor-access:is_public"] is False
    assert name not in names(demo.json("flavor list --all"))

    demo_project = demo.json("token issue")["project_id"]
    admin("flavor set --project", demo_project, "--property", "trait:HW_CPU_X86_AVX=forbidden", name)

    assert name in names(demo.json("flavor list"))
    assert admin.json("flavor show", name)["access_project_ids"] == [demo_project]
    admin("flavor unset --property hw:cpu_policy --project", demo_project, name)
    assert admin.json("flavor show", name)["properties"] == {"trait:HW_CPU_X86_AVX": "forbidden"}
    admin("flavor set --description other", name)
    assert admin.json("flavor show", name)["description"] == "other"
    admin("flavor delete", name)
    assert "No Flavor found" in admin.refused("flavor show", name)


def test_keypairs_and_server_groups(demo: Shell, name: str) -> None:
    demo("keypair create", name)
    assert demo.json("keypair show", name)["type"] == "ssh" and name in names(demo.json("keypair list"))
    group = demo.json("server group create --policy anti-affinity --rule max_server_per_host=2", name)

    server = booted(demo, name, "--hint", f"group={group['id']}", "--key-name", name)

    shown = demo.json("server group show", group["id"])
    assert shown["policy"] == "anti-affinity" and shown["members"] == [server["id"]]
    assert group["id"] in {row["ID"] for row in demo.json("server group list --long")}
    demo("server delete", name)
    demo("server group delete", group["id"])
    demo("keypair delete", name)


def test_quotas_limits_and_usage(admin: Shell, demo: Shell, name: str) -> None:
    project = demo.json("token issue")["project_id"]
    admin("quota set --cores 33 --instances 11", project)

    quotas = {row["Resource"]: row["Limit"] for row in admin.json("quota show --compute", project)}
    limits = {row["Name"]: row["Value"] for row in demo.json("limits show --absolute")}
    assert (quotas["cores"], quotas["instances"]) == (33, 11)
    assert (limits["total_cores"], limits["instances"]) == (33, 11)
    booted(demo, name)
    for usage in (admin.json("usage show --project", project), demo.json("usage show")):
        assert name in {server["name"] for server in usage["Servers"]} and usage["CPU Hours"] >= 0
    assert {row["Project"] for row in admin.json("usage list")}
    demo("server delete", name)
    admin("quota delete --compute", project)


def test_a_resize_shows_as_a_migration_and_as_events(admin: Shell, demo: Shell, name: str) -> None:
    server = booted(demo, name)

    demo("server resize --flavor m1.small", name)
    reached(demo, name, "VERIFY_RESIZE")
    [row] = admin.json("server migration list --server", server["id"])
    demo("server resize confirm", name)
    reached(demo, name, "ACTIVE")

    assert (row["Type"], row["Status"]) == ("resize", "finished")
    moved = admin.json("server migration list --type resize --status confirmed --server", server["id"])
    assert [one["Server UUID"] for one in moved] == [server["id"]]
    events = demo.json("server event list --long", name)
    assert {"create", "resize", "confirmResize"} == {one["Action"] for one in events}
    shown = demo.json("server event show", name, events[-1]["Request ID"])
    assert shown["action"] == "create" and shown["events"]
    demo("server delete", name)
    assert "delete" in {one["Action"] for one in admin.json("server event list", server["id"])}
