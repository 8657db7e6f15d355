"""All that users, and administrators of theirs, do with servers by the unmodified `openstack` command; hosts are simulated."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.harness.clouds import Cloud, embedded
from tests.harness.openstack_shell import Shell, booted, gone, names, reached, shell_of
from tests.harness.waiting import until

SCRIPT = "#!/bin/sh\necho hello\n"
GOOD = "--nic none --image pileus-guest --flavor m1.tiny"


@pytest.fixture
def script(tmp_path: Path) -> str:
    (tmp_path / "script").write_text(SCRIPT)
    return str(tmp_path / "script")


@pytest.fixture
def server(demo: Shell, name: str) -> Iterator[str]:
    """Name of a server that runs."""
    booted(demo, name)
    yield name
    gone(demo, name)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two servers that differ in all that lists are filtered by."""

    rich: str
    plain: str
    flavor: str
    seen: dict[str, Any]  # the rich one, as administrators see it

    @property
    def words(self) -> dict[str, str]:
        """What filters name."""
        attributes = {name: self.seen[f"OS-EXT-SRV-ATTR:{name}"] for name in ("instance_name", "reservation_id")}
        return attributes | {"rich": self.rich, "flavor": self.flavor, "id": self.seen["id"]}


@pytest.fixture(scope="module")
def pair(admin: Shell, demo: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    name, image = f"pair-{uuid4().hex[:6]}", demo.json("image list")[0]["ID"]
    script = tmp_path_factory.mktemp("pair") / "script"
    script.write_text(SCRIPT)
    admin("flavor create --ram 64 --vcpus 1 --disk 1 --ephemeral 3 --swap 64", name)
    demo("keypair create", name)
    group = demo.json("server group create --policy soft-affinity", name)["id"]
    made = demo.json(
        "server create --nic none --property a=b --property c=d --use-config-drive --tag red --tag blue --wait"
        " --availability-zone nova --password Secr3t --ephemeral size=1,format=ext4 --swap 32"
        " --hint rack=7 --hint row=1 --hint row=2",
        *("--image", image, "--flavor", name, "--key-name", name, "--user-data", str(script)),
        *("--description", "one of two", "--hostname", f"{name}-host", "--hint", f"group={group}", f"{name}-rich"),
    )
    assert (made["status"], made["adminPass"]) == ("ACTIVE", "Secr3t")
    booted(demo, f"{name}-plain")
    yield Pair(f"{name}-rich", f"{name}-plain", name, admin.json("server show", made["id"]))
    for one in ("rich", "plain"):
        gone(demo, f"{name}-{one}")
    demo("server group delete", group)
    demo("keypair delete", name)
    admin("flavor delete", name)


def test_a_server_is_what_was_asked_for(admin: Shell, demo: Shell, pair: Pair) -> None:
    seen = pair.seen
    shown = demo.json("server show", seen["id"])

    assert (shown["name"], shown["description"]) == (pair.rich, "one of two")
    assert (shown["properties"], set(shown["tags"])) == ({"a": "b", "c": "d"}, {"red", "blue"})
    assert (shown["key_name"], shown["config_drive"], shown["pinned_availability_zone"]) == (
        pair.flavor,
        "True",
        "nova",
    )
    assert shown["OS-EXT-SRV-ATTR:hostname"] == f"{pair.flavor}-host"
    assert (shown["flavor"]["name"], shown["flavor"]["ephemeral"], shown["flavor"]["swap"]) == (pair.flavor, 3, 64)
    [group] = shown["server_groups"]
    assert shown["scheduler_hints"] == {"group": [group], "rack": ["7"], "row": ["1", "2"]}
    assert shown["OS-EXT-SRV-ATTR:host"] is None and seen["OS-EXT-SRV-ATTR:host"] in ("sim-1", "sim-2")
    assert seen["OS-EXT-SRV-ATTR:user_data"] == b64encode(SCRIPT.encode()).decode()
    assert (seen["host_status"], seen["OS-EXT-STS:vm_state"], seen["locked"]) == ("UP", "active", False)
    diagnosis = admin.json("server show --diagnostics", seen["id"])
    assert (diagnosis["state"], diagnosis["num_disks"], diagnosis["has_config_drive"]) == ("running", 3, True)
    assert "os-server-diagnostics" in demo.refused("server show --diagnostics", seen["id"])


@pytest.mark.parametrize(
    ("who", "filters", "found"),
    [
        ("demo", "--name ^{rich}$", "rich"),
        ("demo", "--status ACTIVE", "both"),
        ("demo", "--status SHUTOFF", "none"),
        ("demo", "--flavor {flavor}", "rich"),
        ("demo", "--image pileus-guest", "both"),
        ("demo", "--tags red --tags blue", "rich"),
        ("demo", "--not-tags red", "plain"),
        ("demo", "--key-name {flavor}", "rich"),
        ("demo", "--availability-zone nova", "both"),
        ("demo", "--availability-zone nowhere", "none"),
        ("demo", "--vm-state active --power-state running", "both"),
        ("demo", "--task-state rebooting", "none"),
        ("demo", "--progress 50", "none"),
        ("demo", "--unlocked", "both"),
        ("demo", "--locked", "none"),
        ("demo", "--ip 10 --ip6 fe80", "none"),
        ("demo", "--changes-since 2026-01-01T00:00:00Z", "both"),
        ("demo", "--changes-before 2026-01-01T00:00:00Z", "none"),
        ("demo", "--long --name-lookup-one-by-one", "both"),
        ("demo", "--limit 1 --marker {id}", "none"),
        ("demo", "--limit 2", "both"),
        ("demo", "--max-items 1", "plain"),
        ("demo", "--sort-column Name --sort-descending", "both"),
        ("admin", "--all-projects --long", "both"),
        ("admin", "--all-projects --instance-name {instance_name}", "rich"),
        ("admin", "--all-projects --reservation-id {reservation_id}", "rich"),
        ("admin", "--all-projects --user demo", "both"),
        ("admin", "--project demo", "both"),
        ("admin", "--project admin", "none"),
        ("admin", "--deleted --name ^pair-", "none"),
        ("admin", "", "none"),
    ],
)
def test_servers_are_found_by(admin: Shell, demo: Shell, pair: Pair, who: str, filters: str, found: str) -> None:
    shell = admin if who == "admin" else demo

    rows = shell.json(f"server list {filters.format_map(pair.words)}")

    both = {pair.rich, pair.plain}
    assert names(rows) & both == {"rich": {pair.rich}, "plain": {pair.plain}, "both": both, "none": set()}[found]


def test_servers_are_found_by_their_host(admin: Shell, pair: Pair) -> None:
    host = pair.seen["OS-EXT-SRV-ATTR:host"]

    rows = admin.json("server list --all-projects --long --host", host)

    assert names(rows, "Host") == {host} and pair.rich in names(rows)


def test_several_servers_are_made_at_once_and_hosts_chosen(admin: Shell, demo: Shell, name: str) -> None:
    image = demo.json("image list")[0]["ID"]
    create = f"server create --no-network --flavor m1.tiny --image {image}"

    demo(f"{create} --min 2 --max 3 --no-config-drive", name)
    admin(f"{create} --host sim-2", f"{name}-a")
    admin(f"{create} --hypervisor-hostname sim-1", f"{name}-b")
    admin(f"{create} --availability-zone nova:sim-2", f"{name}-c")

    for number in (1, 2, 3):
        reached(demo, f"{name}-{number}", "ACTIVE")
    for one, host in (("a", "sim-2"), ("b", "sim-1"), ("c", "sim-2")):
        assert reached(admin, f"{name}-{one}", "ACTIVE")["OS-EXT-SRV-ATTR:host"] == host
    demo("server delete", *(f"{name}-{number}" for number in (1, 2, 3)))
    admin("server delete --wait", *(f"{name}-{one}" for one in "abc"))
    until(lambda: not {one for one in names(demo.json("server list")) if name in one}, every_s=0.1, what="their end")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (f"{GOOD} --image nope", "No Image found for nope"),
        (f"{GOOD} --flavor nope", "No Flavor found for nope"),
        (f"{GOOD} --key-name nope", "Invalid key_name provided"),
        (f"{GOOD} --availability-zone nope", "availability zone is not available"),
        (f"{GOOD} --host sim-1", "requested_destination"),
        (f"{GOOD} --swap 9", "Swap drive requested is larger"),
        (f"{GOOD} --ephemeral size=9", "Ephemeral disks requested are larger"),
        (f"{GOOD} --block-device source_type=blank,destination_type=volume,volume_size=1", "no volume service"),
        (f"{GOOD} --boot-from-volume 1", "no volume service"),
        (f"{GOOD} --trusted-image-cert x", "certificate validation is not available"),
        (f"{GOOD} --security-group nope", "nope not found"),
        (f"{GOOD} --hint group=nope", "is not a 'uuid'"),
        ("--nic none --image-property os_distro=nope --flavor m1.tiny", "No images match the property"),
        ("--auto-network --image pileus-guest --flavor m1.tiny", "Unable to automatically allocate a network"),
        ("--network nope --image pileus-guest --flavor m1.tiny", "nope not found"),
        ("--nic none --volume nope --flavor m1.tiny", "Volume service is not available"),
        ("--nic none --snapshot nope --flavor m1.tiny", "Volume service is not available"),
    ],
)  # fmt: skip
def test_a_server_that_cannot_be_is_refused_with_the_reason(demo: Shell, name: str, given: str, said: str) -> None:
    assert said in demo.refused(f"server create {given}", name)


def test_a_server_is_changed(admin: Shell, demo: Shell, two_hosts: Cloud, server: str) -> None:
    changed = f"{server}-new"
    demo("server set --property e=f --tag green --description mine --hostname other --name", changed, server)
    demo("server set --name", server, changed)
    demo("server set --password n3wSecret", server)

    shown = demo.json("server show", server)
    assert (shown["properties"], shown["tags"], shown["description"]) == ({"e": "f"}, ["green"], "mine")
    assert shown["OS-EXT-SRV-ATTR:hostname"] == "other"
    demo("server unset --property e --tag green --description", server)
    shown = demo.json("server show", server)
    assert (shown["properties"], shown["tags"], shown["description"]) == ({}, [], "")
    with shell_of(two_hosts, "pileus", OS_COMPUTE_API_VERSION="2.104") as newest:
        newest("server set --pinned-availability-zone nova", server)
        assert newest.json("server show", server)["pinned_availability_zone"] == "nova"
        assert "Unpin the server first" in newest.refused("server set --pinned-availability-zone east", server)
        newest("server unset --pinned-availability-zone", server)
        assert newest.json("server show", server)["pinned_availability_zone"] is None
        assert newest.json("server show --topology", server)["topology"]["nodes"] == []
    assert "reset_state" in demo.refused("server set --state error --auto-approve", server)
    admin("server set --state error --auto-approve", shown["id"])
    assert demo.json("server show", server)["status"] == "ERROR"
    admin("server set --state active --auto-approve", shown["id"])


def test_a_server_goes_through_its_states(demo: Shell, server: str) -> None:
    for command, status in (
        ("stop", "SHUTOFF"),
        ("start", "ACTIVE"),
        ("reboot --soft", "ACTIVE"),
        ("reboot --hard", "ACTIVE"),
        ("pause", "PAUSED"),
        ("unpause", "ACTIVE"),
        ("suspend", "SUSPENDED"),
        ("resume", "ACTIVE"),
        ("rescue --password Secr3t", "RESCUE"),
        ("unrescue", "ACTIVE"),
        ("rescue --image pileus-guest", "RESCUE"),
        ("unrescue", "ACTIVE"),
        ("dump create", "ACTIVE"),
    ):
        demo(f"server {command}", server)
        reached(demo, server, status)

    assert "while it is in vm_state active" in demo.refused("server start", server)
    assert "while it is in vm_state active" in demo.refused("server restore", server)
    assert "No public IP" in demo.refused("server ssh", server)
    events = demo.json("server event list", server)
    assert {one["Action"] for one in events} == {
        "create", "stop", "start", "reboot", "pause", "unpause", "suspend", "resume", "rescue", "unrescue",
        "trigger_crash_dump",
    }  # fmt: skip
    newest = demo.json("server event list --long --max-items 2", server)
    assert [one["Action"] for one in newest] == ["trigger_crash_dump", "unrescue"]
    assert demo.json("server event list --changes-before 2026-01-01T00:00:00Z", server) == []
    shown = demo.json("server event show", server, newest[0]["Request ID"])
    assert [step["result"] for step in shown["events"]] == ["Success"] * len(shown["events"]) != []


def test_a_locked_server_is_left_alone_but_by_administrators(admin: Shell, demo: Shell, server: str) -> None:
    demo("server lock --reason audit", server)

    shown = demo.json("server show", server)
    assert (shown["locked"], shown["locked_reason"]) == (True, "audit")
    assert names(demo.json("server list --locked")) == {server}
    assert "is locked" in demo.refused("server stop", server)
    admin("server stop", shown["id"])
    reached(demo, server, "SHUTOFF")
    demo("server unlock", server)
    assert demo.json("server list --locked") == []


def test_a_server_is_rebuilt(demo: Shell, server: str, script: str) -> None:
    demo("keypair create", server)
    made = demo.json(
        "server rebuild --image pileus-guest --password Secr3t --property r=s --description again --hostname fresh",
        *("--key-name", server, "--user-data", script, "--name", f"{server}-2", server),
    )
    assert (made["adminPass"], made["status"]) == ("Secr3t", "REBUILD")
    assert made["OS-EXT-SRV-ATTR:user_data"] == b64encode(SCRIPT.encode()).decode()

    shown = reached(demo, f"{server}-2", "ACTIVE")

    assert (shown["properties"], shown["description"], shown["key_name"]) == ({"r": "s"}, "again", server)
    assert shown["OS-EXT-SRV-ATTR:hostname"] == "fresh"
    bare = demo.json(
        "server rebuild --no-key-name --no-user-data --no-trusted-image-certs --no-preserve-ephemeral --name",
        *(server, f"{server}-2"),
    )
    assert bare["OS-EXT-SRV-ATTR:user_data"] is None
    assert reached(demo, server, "ACTIVE")["key_name"] is None
    assert "can't preserve ephemeral disks" in demo.refused("server rebuild --preserve-ephemeral", server)
    assert "certificate validation" in demo.refused("server rebuild --trusted-image-cert x", server)
    demo("keypair delete", server)


def test_a_resize_goes_back_or_stays(admin: Shell, demo: Shell, server: str) -> None:
    server_id = demo.json("server show", server)["id"]
    for end, flavor in (("resize revert", "m1.tiny"), ("migration confirm", "m1.small")):
        demo("server resize --flavor m1.small", server)
        reached(demo, server, "VERIFY_RESIZE")
        demo(f"server {end}", server)
        assert reached(demo, server, "ACTIVE")["flavor"]["name"] == flavor

    assert "a disk can't shrink" in demo.refused("server resize --flavor m1.tiny", server)
    assert "must change flavor" in demo.refused("server resize --flavor m1.small", server)
    assert "Cannot 'confirmResize'" in demo.refused("server resize confirm", server)
    assert "Cannot 'revertResize'" in demo.refused("server migration revert", server)
    rows = admin.json("server migration list --type resize --project demo --user demo --server", server_id)
    assert [row["Status"] for row in rows] == ["confirmed", "reverted"]
    assert len(admin.json("server migration list --max-items 1 --server", server_id)) == 1
    assert "os-migrations:index" in demo.refused("server migration list")


def test_a_server_is_shelved_and_comes_back_where_it_should(admin: Shell, demo: Shell, server: str) -> None:
    demo("server shelve", server)
    server_id = reached(demo, server, "SHELVED_OFFLOADED")["id"]

    assert "availability zone is not available" in demo.refused("server unshelve --availability-zone nowhere", server)
    assert "unshelve_to_host" in demo.refused("server unshelve --host sim-2", server)
    assert "Compute host nowhere could not be found" in admin.refused("server unshelve --host nowhere", server_id)
    demo("server unshelve --availability-zone nova", server)
    assert reached(demo, server, "ACTIVE")["pinned_availability_zone"] == "nova"
    demo("server shelve", server)
    reached(demo, server, "SHELVED_OFFLOADED")
    admin("server unshelve --no-availability-zone --host sim-2", server_id)
    shown = reached(admin, server_id, "ACTIVE")
    assert (shown["OS-EXT-SRV-ATTR:host"], shown["pinned_availability_zone"]) == ("sim-2", None)


def test_images_and_backups_of_a_server(demo: Shell, server: str) -> None:
    def images() -> set[str]:
        return {one for one in names(demo.json("image list")) if server in one}

    made = demo.json("server image create --property mine=yes --name", f"{server}-image", server)
    until(lambda: demo.json("image show", made["id"])["status"] == "active", every_s=0.1, what="the image")
    shown = demo.json("image show", made["id"])
    assert shown["properties"]["mine"] == "yes" and shown["properties"]["image_type"] == "snapshot"
    for number in (1, 2):
        reached(demo, server, "ACTIVE")
        demo("server backup create --type daily --rotate 1 --name", f"{server}-backup-{number}", server)
    reached(demo, server, "ACTIVE")

    until(lambda: images() == {f"{server}-image", f"{server}-backup-2"}, every_s=0.1, what="the turn of backups")
    demo("image delete", *images())


def test_an_administrator_finds_nowhere_to_move_a_server(admin: Shell, demo: Shell, server: str) -> None:
    shown = demo.json("server show", server)
    server_id, host = shown["id"], admin.json("server show", shown["id"])["OS-EXT-SRV-ATTR:host"]

    assert "os-migrate-server:migrate" in demo.refused("server migrate", server)
    for command, said in (
        ("migrate", "Servers do not move between the hosts"),
        ("migrate --live-migration", "Servers do not move between the hosts"),
        (f"migrate --host {host}", "the host that it is on"),
        (f"migrate --live-migration --block-migration --host {host}", "the host that it is on"),
        ("evacuate", f"Compute service of {host} is still in use"),
        ("evacuate --host nowhere", "Compute host nowhere not found"),
    ):
        assert said in admin.refused(f"server {command}", server_id), command
    assert "could not be found" in admin.refused("server migration show", server_id, "1")
    assert "abort live migration" in admin.refused("server migration abort", server_id, "1")
    assert "Migration 1 not found" in admin.refused("server migration force complete", server_id, "1")


def test_consoles(admin: Shell, demo: Shell, server: str) -> None:
    whole = demo("console log show", server)

    assert whole.endswith("booting\n") and demo("console log show --lines 1", server) == "booting\n"
    for option, kind in (("", "novnc"), ("--novnc", "novnc"), ("--spice", "spice-html5"), ("--serial", "serial")):
        shown = demo.json(f"console url show {option}", server)
        assert shown["type"] == kind and "/console/" in shown["url"]
    [connection] = [admin.json("console connection show", shown["url"].partition("token=")[2].partition("&")[0])]
    assert connection["instance_uuid"] == demo.json("server show", server)["id"]
    for option in ("--xvpvnc", "--rdp", "--mks", "--spice-direct"):
        assert "console type" in demo.refused(f"console url show {option}", server)


@pytest.mark.parametrize(
    ("command", "what", "said"),
    [
        ("add fixed ip", "nope", "is not a 'uuid'"),
        ("add network", "nope", "is not a 'uuid'"),
        ("add port", "nope", "is not a 'uuid'"),
        ("remove port", "nope", "Port id nope could not be found"),
        ("remove fixed ip", "10.0.0.1", "could not be found"),
        ("remove floating ip", "10.0.0.1", "network service in RegionOne region not found"),
        ("remove share", "nope", "shared-file-system service in RegionOne region not found"),
        ("share show", "nope", "shared-file-system service in RegionOne region not found"),
        ("volume set --delete-on-termination", "nope", "block-storage service in RegionOne region not found"),
        ("add security group", "nope", "nope not found"),
        ("remove security group", "nope", "nope not found"),
        ("add floating ip", "10.0.0.1", "network service in RegionOne region not found"),
        ("add volume", "nope", "block-storage service in RegionOne region not found"),
        ("remove volume", "nope", "block-storage service in RegionOne region not found"),
        ("add share", "nope", "shared-file-system service in RegionOne region not found"),
    ],
)
def test_what_no_service_has_is_named(demo: Shell, pair: Pair, command: str, what: str, said: str) -> None:
    assert said in demo.refused(f"server {command}", pair.plain, what)
    assert demo.json("server volume list", pair.plain) == demo.json("server share list", pair.plain) == []


def test_a_server_is_deleted_by_force_and_by_nobody_else(demo: Shell, name: str) -> None:
    booted(demo, name)

    demo("server delete --force", name)

    until(lambda: name not in names(demo.json("server list")), every_s=0.1, what="the server's end")
    assert f"No Server found for {name}" in demo.refused("server delete", name)
    assert "get_all_tenants" in demo.refused("server delete --all-projects", name)


def test_a_deleted_server_is_restored_while_it_is_kept(tmp_path_factory: pytest.TempPathFactory) -> None:
    data, name = tmp_path_factory.mktemp("kept") / "data", f"kept-{uuid4().hex[:6]}"
    options = {"PILEUS_AGENT_DRIVER": "simulated", "PILEUS_COMPUTE_RECLAIM_INSTANCE_INTERVAL_S": "3600"}
    with embedded(data, **options) as cloud, shell_of(cloud) as admin:
        server_id = booted(admin, name)["id"]

        admin("server delete", name)
        reached(admin, server_id, "SOFT_DELETED")
        assert name not in names(admin.json("server list"))
        admin("server restore", server_id)
        reached(admin, name, "ACTIVE")
        admin("server delete", name)
        reached(admin, server_id, "SOFT_DELETED")
        admin("server delete --force", server_id)

        until(lambda: admin.attempt("server", "show", server_id)[0] != 0, every_s=0.1, what="the server's end")
