"""What an operator does with the unmodified `openstack` command's placement part, osc-placement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from uuid import uuid4

import pytest

from tests.harness.clouds import Cloud
from tests.harness.openstack_shell import Shell, shell_of
from tests.harness.waiting import until

VERSIONS = ("1.0", "1.9", "1.39")


@pytest.fixture(scope="module")
def shells(two_hosts: Cloud) -> Iterator[Mapping[str, Shell]]:
    """By version: a client, once made, is kept by the process that runs the commands."""
    with ExitStack() as stack:
        yield {one: stack.enter_context(shell_of(two_hosts, OS_PLACEMENT_API_VERSION=one)) for one in VERSIONS}


@pytest.fixture
def admin(shells: Mapping[str, Shell]) -> Shell:
    return shells["1.39"]


@pytest.fixture
def old(shells: Mapping[str, Shell]) -> Shell:
    return shells["1.0"]


def test_providers_in_trees(admin: Shell, old: Shell, name: str) -> None:
    made = old.json("resource provider create", name)
    child = admin.json("resource provider create --parent-provider", made["uuid"], f"{name}-child")

    assert made["name"] == name and child["root_provider_uuid"] == made["uuid"]
    tree = admin.json("resource provider list --in-tree", child["uuid"])
    assert {row["name"] for row in tree} == {name, f"{name}-child"}
    admin("resource provider set --name", f"{name}-2", made["uuid"])
    assert old.json("resource provider list --name", f"{name}-2")[0]["uuid"] == made["uuid"]
    assert "child resource providers" in admin.refused("resource provider delete", made["uuid"])
    other = admin.json("resource provider create", f"{name}-other")
    moved = admin.json("resource provider set --name", name, "--parent-provider", other["uuid"], child["uuid"])
    assert moved["root_provider_uuid"] == other["uuid"]
    for one in (child, made, other):
        old("resource provider delete", one["uuid"])
    assert "No resource provider" in old.refused("resource provider show", made["uuid"])


def test_inventories_classes_traits_and_aggregates(
    admin: Shell, old: Shell, shells: Mapping[str, Shell], name: str
) -> None:
    own = admin.json("resource provider create", name)["uuid"]
    admin("resource class set CUSTOM_CARD")
    shells["1.9"]("resource class create CUSTOM_OTHER")
    classes = {row["name"] for row in admin.json("resource class list")}
    assert {"VCPU", "CUSTOM_CARD", "CUSTOM_OTHER"} <= classes
    assert admin.json("resource class show CUSTOM_CARD")["name"] == "CUSTOM_CARD"

    old("resource provider inventory set", own, "--resource", "VCPU=8", "--resource", "CUSTOM_CARD=2")
    old("resource provider inventory class set", own, "VCPU", "--total", "4", "--allocation_ratio", "2.0")
    rows = {row["resource_class"]: row for row in admin.json("resource provider inventory list", own)}
    assert (rows["VCPU"]["total"], rows["VCPU"]["allocation_ratio"], rows["CUSTOM_CARD"]["total"]) == (4, 2.0, 2)
    assert old.json("resource provider inventory show", own, "VCPU")["total"] == 4
    admin("resource provider inventory set --amend", own, "--resource", "VCPU:reserved=1")
    assert old.json("resource provider inventory show", own, "VCPU")["reserved"] == 1

    admin("trait create CUSTOM_GOLD")
    admin("resource provider trait set --trait CUSTOM_GOLD --trait HW_CPU_X86_AVX", own)
    assert {row["name"] for row in admin.json("resource provider trait list", own)} == {
        "CUSTOM_GOLD", "HW_CPU_X86_AVX"
    }  # fmt: skip
    assert {row["name"] for row in admin.json("trait list --name startswith:CUSTOM_G")} == {"CUSTOM_GOLD"}
    assert admin.json("trait show CUSTOM_GOLD")["name"] == "CUSTOM_GOLD"
    assert "in use" in admin.refused("trait delete CUSTOM_GOLD")
    group = str(uuid4())
    admin("resource provider aggregate set --aggregate", group, "--generation", generation(admin, own), own)
    shells["1.9"]("resource provider aggregate set --aggregate", group, own)
    assert [row["uuid"] for row in admin.json("resource provider aggregate list", own)] == [group]

    found = admin.json(f"resource provider list --member-of {group} --required CUSTOM_GOLD --resource VCPU=6")
    assert [row["uuid"] for row in found] == [own]
    assert admin.json(f"resource provider list --member-of {group} --forbidden CUSTOM_GOLD") == []
    admin("resource provider trait delete", own)
    admin("trait delete CUSTOM_GOLD")
    admin("resource provider inventory delete", own, "--resource-class", "VCPU")
    admin("resource provider inventory delete", own)
    for one in ("CUSTOM_CARD", "CUSTOM_OTHER"):
        admin("resource class delete", one)
    admin("resource provider delete", own)


def test_allocations_and_candidates(admin: Shell, old: Shell, shells: Mapping[str, Shell], name: str) -> None:
    own, consumer = admin.json("resource provider create", name)["uuid"], str(uuid4())
    admin("resource provider inventory set", own, "--resource", "VCPU=8", "--resource", "MEMORY_MB=64")
    project, user = admin.json("project show admin")["id"], admin.json("user show admin")["id"]
    owner = ("--project-id", project, "--user-id", user, "--consumer-type", "THING")

    admin("resource provider allocation set", consumer, "--allocation", f"rp={own},VCPU=2", *owner)

    [row] = admin.json("resource provider allocation show", consumer)
    assert (row["resource_provider"], row["resources"]["VCPU"], row["consumer_type"]) == (own, 2, "THING")
    assert {row["resource_class"]: row["usage"] for row in old.json("resource provider usage show", own)} == {
        "VCPU": 2, "MEMORY_MB": 0
    }  # fmt: skip
    usage = shells["1.9"].json("resource usage show", project)
    assert {row["resource_class"]: row["usage"] for row in usage}["VCPU"] >= 2
    shown = admin.json("resource provider show --allocations", own)
    assert consumer in shown["allocations"]
    found = admin.json("allocation candidate list --resource VCPU=6 --resource MEMORY_MB=64 --limit 10")
    assert own in {row["resource provider"] for row in found}
    groups = "--group 1 --resource VCPU=1 --group 2 --resource VCPU=1 --group-policy none"
    assert own in {row["resource provider"] for row in admin.json(f"allocation candidate list {groups}")}
    more = ("--allocation", f"rp={own},VCPU=99", *owner)
    assert "Unable to allocate" in admin.refused("resource provider allocation set", str(uuid4()), *more)
    admin("resource provider allocation unset --resource-class VCPU", consumer)
    admin("resource provider delete", own)


def test_a_server_shows_and_an_operator_s_trait_decides_where_servers_go(admin: Shell, name: str) -> None:
    hosts = {row["name"]: row["uuid"] for row in admin.json("resource provider list")}
    admin("trait create CUSTOM_CHOSEN")
    has = [row["name"] for row in admin.json("resource provider trait list", hosts["sim-2"])]
    traits = [word for one in (*has, "CUSTOM_CHOSEN") for word in ("--trait", one)]
    admin("resource provider trait set", *traits, hosts["sim-2"])
    admin("flavor create --ram 64 --vcpus 1 --disk 1 --property trait:CUSTOM_CHOSEN=required", name)
    image = admin.json("image list")[0]["ID"]

    admin("server create --flavor", name, "--image", image, "--nic", "none", name)
    until(lambda: admin.json("server show", name)["status"] == "ACTIVE", every_s=0.1, what="a boot")
    server = admin.json("server show", name)

    assert server["OS-EXT-SRV-ATTR:host"] == "sim-2"
    [row] = admin.json("resource provider allocation show", server["id"])
    assert row["resource_provider"] == hosts["sim-2"] and row["resources"] == {"VCPU": 1, "MEMORY_MB": 64, "DISK_GB": 1}
    assert "is a server" in admin.refused("resource provider allocation delete", server["id"])
    admin("server delete", name)
    until(
        lambda: admin.json("resource provider allocation show", server["id"]) == [], every_s=0.1, what="the claim's end"
    )
    admin("flavor delete", name)


def generation(admin: Shell, provider: str) -> str:
    return str(admin.json("resource provider show", provider)["generation"])
