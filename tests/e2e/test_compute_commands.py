"""What an administrator of hosts, flavors and projects does with the unmodified `openstack` command."""

from __future__ import annotations

from pathlib import Path

from tests.harness.openstack_shell import Shell, booted, gone, names, reached
from tests.harness.waiting import until


def test_hypervisors_and_hosts(admin: Shell, demo: Shell) -> None:
    rows = admin.json("hypervisor list --long")

    assert names(rows, "Hypervisor Hostname") == {"sim-1", "sim-2"} and names(rows, "State") == {"up"}
    shown = admin.json("hypervisor show sim-1")
    assert shown["hypervisor_hostname"] == "sim-1" and shown["status"] == "enabled"
    assert admin.json("hypervisor list --matching sim-2")[0]["Hypervisor Hostname"] == "sim-2"
    assert len(admin.json("hypervisor list --limit 1")) == 2, "pages follow each other"
    assert len(admin.json("hypervisor list --max-items 1")) == 1
    assert "No hypervisor matching" in admin.refused("hypervisor list --matching nowhere")
    assert admin.json("hypervisor stats show")["count"] == 2
    assert {"sim-1", "sim-2"} < names(admin.json("host list"), "Host Name")
    assert names(admin.json("host show sim-1"), "Project") == {"(total)", "(used_now)", "(used_max)"}
    admin("host set --disable sim-1")
    assert admin.json("hypervisor show sim-1")["status"] == "disabled"
    admin("host set --enable sim-1")
    assert "no longer available" in admin.refused("compute agent list")
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
    assert "not found" in admin.refused("compute service set --disable nowhere nova-compute")


def test_services_are_deleted_unless_they_have_servers_and_come_back(admin: Shell, name: str) -> None:
    booted(admin, name, "--host", "sim-1")
    [busy] = admin.json("compute service list --host sim-1 --service nova-compute")
    [idle] = admin.json("compute service list --service nova-scheduler")

    assert "hosting instances" in admin.refused("compute service delete", busy["ID"])
    admin("compute service delete", idle["ID"])

    def is_back() -> bool:
        return names(admin.json("compute service list --service nova-scheduler"), "ID") not in ({idle["ID"]}, set())

    until(is_back, every_s=0.1, what="the service")
    assert "not found" in admin.refused("compute service delete", idle["ID"])
    gone(admin, name)


def test_aggregates_make_zones(admin: Shell, demo: Shell, name: str) -> None:
    made = admin.json("aggregate create --zone east --property ssd=true", name)
    assert made["availability_zone"] == "east"

    admin("aggregate add host", name, "sim-2")
    admin("aggregate set --property gpu=no --name", f"{name}-2", name)

    admin("aggregate cache image", f"{name}-2", "pileus-guest")
    shown = admin.json("aggregate show", f"{name}-2")
    assert shown["hosts"] == ["sim-2"] and shown["properties"] == {"ssd": "true", "gpu": "no"}
    assert f"{name}-2" in names(admin.json("aggregate list --long"))
    assert names(admin.json("aggregate list --host sim-2 --availability-zone east")) == {f"{name}-2"}
    assert admin.json("aggregate list --host sim-1") == []
    assert {row["Zone Name"] for row in demo.json("availability zone list --compute")} == {"nova", "east"}
    assert {"internal", "east"} <= {row["Zone Name"] for row in admin.json("availability zone list --compute --long")}
    placed = booted(admin, f"{name}-server", "--availability-zone", "east")
    assert placed["OS-EXT-AZ:availability_zone"] == "east" and placed["OS-EXT-SRV-ATTR:host"] == "sim-2"
    assert "already has 1 instance" in admin.refused("aggregate remove host", f"{name}-2", "sim-2")
    gone(admin, f"{name}-server")
    admin("aggregate unset --property gpu", f"{name}-2")
    assert admin.json("aggregate show", f"{name}-2")["properties"] == {"ssd": "true"}
    admin("aggregate set --no-property --property disk=fast", f"{name}-2")
    assert admin.json("aggregate show", f"{name}-2")["properties"] == {"disk": "fast"}
    assert "not empty" in admin.refused("aggregate delete", f"{name}-2")
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
    assert name in names(admin.json("flavor list --private")) - names(admin.json("flavor list"))
    assert name in names(admin.json("flavor list --all --long --min-ram 100 --min-disk 1"))
    assert name not in names(admin.json("flavor list --all --min-ram 129"))
    pages = admin.json("flavor list --limit 2"), admin.json("flavor list --limit 2 --marker 2")
    assert [[row["ID"] for row in page] for page in pages] == [["1", "2"], ["3", "4"]]
    admin("flavor set --no-property --property hw:cpu_policy=shared", name)
    assert admin.json("flavor show", name)["properties"] == {"hw:cpu_policy": "shared"}
    assert "already exists" in admin.refused("flavor create --id 1 --ram 64", name)
    assert "os-flavor-manage:create" in demo.refused("flavor create --ram 64", name)
    admin("flavor set --description other", name)
    assert admin.json("flavor show", name)["description"] == "other"
    admin("flavor delete", name)
    assert "No Flavor found" in admin.refused("flavor show", name)


def test_keypairs(admin: Shell, demo: Shell, name: str, tmp_path: Path) -> None:
    private, public = tmp_path / "private", tmp_path / "public"
    assert "PRIVATE KEY" in demo("keypair create", f"{name}-1")
    demo("keypair create --private-key", str(private), f"{name}-2")
    public.write_text(demo("keypair show --public-key", f"{name}-2"))

    imported = demo.json("keypair create --type ssh --public-key", str(public), f"{name}-3")

    made = demo.json("keypair show", f"{name}-2")
    assert "PRIVATE KEY" in private.read_text() and imported["fingerprint"] == made["fingerprint"]
    mine = {f"{name}-{number}" for number in (1, 2, 3)}
    assert names(demo.json("keypair list")) >= mine and names(demo.json("keypair list --limit 1")) >= mine
    assert names(demo.json("keypair list --limit 1 --marker", f"{name}-1")) >= mine - {f"{name}-1"}
    assert names(admin.json("keypair list --user demo")) >= mine and not names(admin.json("keypair list")) & mine
    assert admin.json("keypair show --user demo", f"{name}-1")["name"] == f"{name}-1"
    assert "already exists" in demo.refused("keypair create", f"{name}-1")
    admin("keypair delete --user demo", f"{name}-1")
    demo("keypair delete", f"{name}-2", f"{name}-3")
    assert "not found" in demo.refused("keypair delete", f"{name}-1")


def test_server_groups(admin: Shell, demo: Shell, name: str) -> None:
    group = demo.json("server group create --policy anti-affinity --rule max_server_per_host=2", name)

    server = booted(demo, name, "--server-group", name)

    shown = demo.json("server group show", group["id"])
    assert shown["policy"] == "anti-affinity" and shown["members"] == [server["id"]]
    assert group["id"] in {row["ID"] for row in demo.json("server group list --long")}
    demo("server group create --policy soft-affinity", f"{name}-2")
    mine = {name, f"{name}-2"}
    assert names(demo.json("server group list --limit 1")) >= mine
    assert names(demo.json("server group list --limit 1 --offset 1")) >= {f"{name}-2"}
    assert names(admin.json("server group list --all-projects")) >= mine and admin.json("server group list") == []
    assert "Only anti-affinity policy supports rules" in demo.refused(
        "server group create --policy affinity --rule max_server_per_host=2", name
    )
    gone(demo, name)
    demo("server group delete", *mine)
    assert not mine & names(demo.json("server group list"))


def test_quotas_limits_and_usage(admin: Shell, demo: Shell, name: str) -> None:
    project = demo.json("token issue")["project_id"]
    admin("quota set --cores 33 --instances 11", project)

    quotas = {row["Resource"]: row["Limit"] for row in admin.json("quota show --compute", project)}
    limits = {row["Name"]: row["Value"] for row in demo.json("limits show --absolute")}
    assert (quotas["cores"], quotas["instances"]) == (33, 11)
    assert (limits["total_cores"], limits["instances"]) == (33, 11)
    assert demo.json("limits show --rate") == []
    assert limits == {row["Name"]: row["Value"] for row in admin.json("limits show --absolute --project", project)}
    assert [row["Cores"] for row in admin.json("quota list --compute") if row["Project ID"] == project] == [33]
    assert {row["Resource"] for row in demo.json("quota show --usage --compute")} >= {"cores", "instances", "ram"}
    admin("quota set --default --ram 51201")
    assert {row["Resource"]: row["Limit"] for row in demo.json("quota show --default --compute")}["ram"] == 51201
    admin("quota set --default --ram 51200")
    booted(demo, name)
    assert "already used and reserved 1" in admin.refused("quota set --instances 0 --no-force", project)
    admin("quota set --instances 0 --force", project)
    assert "Quota exceeded for instances" in demo.refused(
        "server create --nic none --image pileus-guest --flavor m1.tiny", name
    )
    for usage in (admin.json("usage show --project", project), demo.json("usage show")):
        assert name in {server["name"] for server in usage["Servers"]} and usage["CPU Hours"] >= 0
    assert project in {row["Project"] for row in admin.json("usage list")}
    assert admin.json("usage list --start 2020-01-01 --end 2020-02-01") == []
    nothing = demo.json("usage show --start 2020-01-01 --end 2020-02-01")
    assert (nothing["Servers"], nothing["CPU Hours"], nothing["RAM MB-Hours"]) == ([], 0, 0)
    assert "0.00" in demo("usage show --start 2020-01-01 --end 2020-02-01")
    gone(demo, name)
    admin("quota delete --compute", project)
    assert {row["Resource"]: row["Limit"] for row in admin.json("quota show --compute", project)}["cores"] == 20


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
