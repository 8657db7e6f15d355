"""What people see of boots and deletes."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import update

from common.bus.bus import Handlers
from common.errors import HostFailed, NotFound
from common.saga.store import Sagas
from common.saga.tables import SagaState
from services.compute.contract import ServerChanged
from services.compute.core import config_drive
from services.compute.core.guests import PowerState, drive_of
from services.compute.core.states import VmState
from services.compute.db.tables import SAGAS, ServerRow, ServiceRow
from services.compute.sagas import (
    BOOT_SERVER,
    DELETE_SERVER,
    START_SERVER,
    STOP_SERVER,
    BootServer,
    DeleteServer,
    StartServer,
    StopServer,
)
from services.compute.sagas.guest_spec import identity_of, needs_drive, spec_of
from services.compute.sagas.kit import Rules
from tests.harness.compute import FLAVOR, ComputeWorld
from tests.harness.waiting import until


def fault_of(server: ServerRow) -> str:
    """Its message; every fault here has the code of a server's failure."""
    assert server.fault is not None and server.fault["code"] == 500
    return str(server.fault["message"])


def force_down(world: ComputeWorld, *hosts: str) -> None:
    with world.database.transaction() as session:
        session.execute(update(ServiceRow).where(ServiceRow.host.in_(hosts)).values(is_forced_down=True))


def test_a_booted_server_runs_and_forgets_its_password(world: ComputeWorld) -> None:
    server = world.server(world.a_booted_server())

    assert (server.vm_state, server.task_state, server.power_state) == (VmState.ACTIVE, None, PowerState.RUNNING)
    assert server.admin_password is None and server.launched_at is not None and server.zone == "nova"
    assert world.disagreements() == []


def test_servers_spread_over_the_hosts(world: ComputeWorld) -> None:
    servers = [world.server(world.a_booted_server()) for _ in range(9)]

    assert {server.host for server in servers} == set(world.hosts)


def test_a_host_that_fails_is_left_for_another(world: ComputeWorld) -> None:
    for hypervisor in list(world.hosts.values())[:2]:
        hypervisor.faults.fail_next("create", HostFailed("The disk is full"))

    world.a_booted_server()

    assert world.disagreements() == []


def test_when_nothing_fits_the_fault_says_why_and_what_would(world: ComputeWorld) -> None:
    server_id = world.a_server(flavor=dict(FLAVOR) | {"memory_mib": 99_000})

    server = world.do(BOOT_SERVER, BootServer(server_id=server_id))

    assert server.vm_state == VmState.ERROR
    assert fault_of(server).startswith("No valid host was found. Of 3 hosts, MEMORY_MBFilter removed 3")
    assert "choose a flavor with at most 15872 MiB of memory" in fault_of(server)
    assert world.disagreements() == []


def test_when_every_host_failed_the_fault_says_what_the_last_one_said(world: ComputeWorld) -> None:
    for hypervisor in world.hosts.values():
        hypervisor.faults.fail_next("create", HostFailed("The disk is full"))

    server = world.do(BOOT_SERVER, BootServer(server_id=world.a_server()))

    assert "The disk is full" in fault_of(server)
    assert world.disagreements() == []


def test_a_host_that_cannot_even_clear_away_is_left_for_another_and_does_it_later(world: ComputeWorld) -> None:
    host = world.server(first := world.a_booted_server()).host or ""
    for name in set(world.hosts) - {host}:  # emptier, so tried before
        world.hosts[name].faults.fail_next("create", HostFailed("The disk is gone"), afterwards=True)
        world.hosts[name].faults.fail_next("destroy", HostFailed("The disk is gone"))

    second = world.a_booted_server()
    left_over = world.guests()[second]
    world.reconcile()

    assert len(left_over) == 3
    assert world.guests() == {first: [host], second: [host]}
    assert world.disagreements() == []


def test_a_boot_waits_for_hosts_that_could_not_be_heard_yet(world: ComputeWorld) -> None:
    world.kit = replace(world.kit, hears_since=world.clock.now)
    world.engine = world._engine()
    force_down(world, *world.hosts)

    server = world.do(BOOT_SERVER, BootServer(server_id=world.a_server()))

    assert server.vm_state == VmState.BUILDING


def test_a_delete_that_comes_during_a_boot_undoes_it(world: ComputeWorld) -> None:
    server_id = world.a_server()
    for hypervisor in world.hosts.values():
        hypervisor.faults.fail_next("create", HostFailed("no"))
    world.begin(BOOT_SERVER, BootServer(server_id=server_id))
    [booting] = world.engine.claim_due(1)

    with world.database.transaction() as session:
        Sagas(session, SAGAS).cancel(server_id)
    world.change(server_id, task_state="deleting")
    world.begin(DELETE_SERVER, DeleteServer(server_id=server_id))
    world.engine.advance(booting)
    world.engine.run_due()

    server = world.server(server_id)
    assert (server.vm_state, server.fault) == (VmState.DELETED, None)
    assert world.disagreements() == []


def test_a_second_delete_finds_nothing_to_do(world: ComputeWorld) -> None:
    server_id = world.a_booted_server()

    for _ in range(2):
        server = world.do(DELETE_SERVER, DeleteServer(server_id=server_id))

    assert server.vm_state == VmState.DELETED and world.disagreements() == []


def test_a_server_in_error_without_a_host_can_be_deleted(world: ComputeWorld) -> None:
    server_id = world.a_server(flavor=dict(FLAVOR) | {"vcpus": 10_000})
    world.do(BOOT_SERVER, BootServer(server_id=server_id))

    assert world.do(DELETE_SERVER, DeleteServer(server_id=server_id)).vm_state == VmState.DELETED


def test_a_delete_does_not_wait_for_a_host_that_is_down(world: ComputeWorld) -> None:
    server_id = world.a_booted_server()
    host = world.server(server_id).host or ""
    world.clock.advance(2)
    force_down(world, host)

    server = world.do(DELETE_SERVER, DeleteServer(server_id=server_id))

    assert server.vm_state == VmState.DELETED and world.claims() == {}
    assert world.guests() == {server_id: [host]}
    world.reconcile()
    assert world.guests() == {}


def test_a_start_that_fails_leaves_the_server_as_it_was_and_says_why_in_its_timeline(world: ComputeWorld) -> None:
    server_id = world.a_booted_server()
    world.do(STOP_SERVER, StopServer(server_id=server_id))
    for hypervisor in world.hosts.values():
        hypervisor.faults.fail_next("start", NotFound("The disk is gone"))
    world.change(server_id, task_state="powering-on")

    server = world.do(START_SERVER, StartServer(server_id=server_id))

    assert (server.vm_state, server.task_state) == (VmState.STOPPED, None)
    with world.database.reading() as session:
        store = Sagas(session, SAGAS)
        [saga, *_] = store.of_resource(server_id)
        failed = [event for event in store.events_of([saga.id]) if event.succeeded is False]
    assert saga.state == SagaState.FAILED
    assert [(event.step, event.message) for event in failed] == [("guest", "The disk is gone")]


def test_each_change_is_told_once_it_is_committed(world: ComputeWorld) -> None:
    heard: list[ServerChanged] = []
    handlers = Handlers()
    handlers.hears(ServerChanged)(heard.append)
    world.bus.listen("compute.server.#", handlers)

    world.a_booted_server()

    until(lambda: len(heard) == 2, every_s=0.01)
    assert [(one.vm_state, one.task_state) for one in heard] == [("building", "spawning"), ("active", None)]


# ---------------------------------------------------------------- config drive


def test_the_config_drive_tells_the_guest_who_it_is(world: ComputeWorld) -> None:
    server_id = world.a_server(
        key_name="k", public_key="ssh-ed25519 AAAA", user_data="I2Nsb3VkLWNvbmZpZwo=", attributes={"role": "web"}
    )
    drive = config_drive.files(identity_of(world.server(server_id)))

    meta = json.loads(drive["openstack/latest/meta_data.json"])
    ec2 = json.loads(drive["ec2/latest/meta-data.json"])

    assert meta["uuid"] == str(server_id) and meta["hostname"] == "web" and meta["project_id"] == "p"
    assert meta["public_keys"] == {"k": "ssh-ed25519 AAAA"} and meta["meta"] == {"role": "web"}
    assert meta["admin_pass"] == "secret"
    assert drive["openstack/latest/user_data"] == drive["ec2/latest/user-data"] == b"#cloud-config\n"
    assert json.loads(drive["openstack/latest/network_data.json"]) == {"links": [], "networks": [], "services": []}
    assert ec2["public-keys"] == {"0": {"_name": "0=k", "openssh-key": "ssh-ed25519 AAAA"}}
    assert "openstack/2012-08-10/meta_data.json" in drive and "openstack/2012-08-10/vendor_data.json" not in drive


def test_each_version_of_the_metadata_holds_what_it_had(world: ComputeWorld) -> None:
    drive = config_drive.files(identity_of(world.server(world.a_server())))
    meta = {
        version: json.loads(drive[f"openstack/{version}/meta_data.json"])
        for version in ("2012-08-10", "2013-04-04", "2015-10-15", "2016-06-30", "2020-10-14", "latest")
    }

    later = {"admin_pass", "random_seed", "project_id", "devices", "dedicated_cpus"}
    assert later & set(meta["2012-08-10"]) == set()
    assert later & set(meta["2013-04-04"]) == {"admin_pass", "random_seed"}
    assert later & set(meta["2015-10-15"]) == {"admin_pass", "random_seed", "project_id"}
    assert later - set(meta["2016-06-30"]) == {"dedicated_cpus"}
    assert later <= set(meta["2020-10-14"]) and meta["latest"] == meta["2020-10-14"]
    assert len(base64.b64decode(meta["latest"]["random_seed"])) == 512


def test_user_data_arrive_as_they_were_given_and_vendor_data_beside_them(world: ComputeWorld) -> None:
    packed = gzip.compress(b"#cloud-config")
    server = world.server(world.a_server(user_data=base64.b64encode(packed).decode()))
    kit = replace(world.kit, vendor=Told())

    drive = drive_of(spec_of(server, kit, build=server.id))

    assert drive is not None and drive["openstack/latest/user_data"] == drive["ec2/latest/user-data"] == packed
    assert json.loads(drive["openstack/2013-10-17/vendor_data.json"]) == {"motd": "hello"}
    assert json.loads(drive["openstack/latest/vendor_data2.json"]) == {
        "static": {"motd": "hello"}, "cmdb": {"name": "web"}
    }  # fmt: skip
    assert "openstack/2016-06-30/vendor_data2.json" not in drive


class Told:
    def told(self, about: Mapping[str, Any]) -> config_drive.VendorData:
        return config_drive.VendorData({"motd": "hello"}, {"cmdb": {"name": about["hostname"]}})


def test_without_the_operators_rule_only_who_asks_gets_a_config_drive(world: ComputeWorld) -> None:
    asked, silent = world.server(world.a_server(has_config_drive=True)), world.server(world.a_server())
    rules = Rules(config_drive_always=False)

    assert (needs_drive(asked, rules), needs_drive(silent, rules)) == (True, False)
    assert needs_drive(silent, Rules())
