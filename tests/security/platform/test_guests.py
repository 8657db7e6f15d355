"""B1, B4, C11, C15, L3: what a guest of the public API is on its host."""

from __future__ import annotations

import base64
import grp
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from tests.harness.clouds import Cloud, run
from tests.harness.files import files_below
from tests.security.platform.people import Person, Town, storage_of
from tests.security.platform.test_compute_cases import HOSTILE_TEXTS

SERVERS = "/compute/v2.1/servers"
HOSTILE = "".join(HOSTILE_TEXTS)[:200]


@pytest.fixture(scope="module")
def carol(real_town: Town) -> Person:
    return real_town.stranger()


@pytest.fixture(scope="module")
def guests(real: Cloud, carol: Person) -> Iterator[list[str]]:
    """Ids of a plain server and of one with everything hostile that a user may say."""
    user_data = base64.b64encode(b'#cloud-config\n"/><devices>').decode()
    pair = carol.made("/compute/v2.1/os-keypairs", {"keypair": {"name": "key"}})
    hostile = {"name": HOSTILE, "metadata": {"a": HOSTILE}, "key_name": pair["name"], "user_data": user_data}
    servers = [carol.boot(name="plain"), carol.boot(**hostile)]
    assert [one["status"] for one in servers] == ["ACTIVE", "ACTIVE"], servers
    yield [one["id"] for one in servers]
    for one in servers:
        carol.ask("DELETE", f"{SERVERS}/{one['id']}")


def described(server_id: str, *options: str) -> etree._Element:
    xml = run("virsh", "-q", "-c", "qemu:///system", "dumpxml", *options, server_id)
    return etree.fromstring(xml.encode())


def process(server_id: str) -> Path:
    """The guest's qemu below /proc."""
    [found] = [
        path.parent
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if (words := words_of(path)) and "qemu-system" in words[0] and server_id in " ".join(words)
    ]
    return found


def words_of(path: Path) -> list[str]:
    try:
        return path.read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def status(server_id: str) -> dict[str, str]:
    lines = (process(server_id) / "status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def test_b1_each_guest_has_an_account_of_its_own_that_may_nothing(guests: list[str]) -> None:
    found = [status(one) for one in guests]

    uids = [one["Uid"].split() for one in found]
    assert all(len(set(uid)) == 1 and int(uid[0]) > 1000 for uid in uids)
    assert uids[0] != uids[1] and found[0]["Gid"] != found[1]["Gid"]
    for one in found:
        assert one["Seccomp"] == "2"
        assert int(one["CapEff"], 16) == int(one["CapPrm"], 16) == int(one["CapAmb"], 16) == 0
        assert one["Groups"] in ("", one["Gid"].split()[0])
        assert int(one["Uid"].split()[0]) not in {entry.pw_uid for entry in pwd.getpwall()}
        assert int(one["Gid"].split()[0]) not in {entry.gr_gid for entry in grp.getgrall()}


def test_b1_a_guest_s_account_reads_nothing_of_the_cloud_and_of_other_guests(real: Cloud, guests: list[str]) -> None:
    uid = status(guests[0])["Uid"].split()[0]
    own = {guests[0]}

    def readable(path: Path) -> bool:
        command = [
            "setpriv",
            f"--reuid={uid}",
            f"--regid={uid}",
            "--clear-groups",
            "dd",
            f"if={path}",
            "of=/dev/null",
            "count=1",
        ]
        return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0

    files = list(files_below(real.data, storage_of(real)))
    open_to_it = {path for path in files if readable(path)}

    allowed = {path for path in files if path.name.split(".")[0] in own or path.parent == storage_of(real) / "images"}
    assert any(path.name.startswith(guests[0]) for path in open_to_it), "the check looks at the wrong files"
    assert open_to_it <= allowed


def test_b1_qemu_is_sandboxed_and_reachable_by_nobody(guests: list[str]) -> None:
    words = words_of(process(guests[0]) / "cmdline")

    sandbox = words[words.index("-sandbox") + 1]
    assert sandbox.startswith("on,") and "elevateprivileges=deny" in sandbox and "spawn=deny" in sandbox
    assert not [word for word in words if word.startswith(("tcp:", "telnet:", "vnc="))]
    assert [words[at + 1].split(",")[0] for at, word in enumerate(words) if word == "-vnc"] == ["none"], (
        "a door for VNC"
    )
    spice = [words[at + 1].split(",") for at, word in enumerate(words) if word == "-spice"]
    assert [one for door in spice for one in door if one.startswith(("port=", "tls-port=", "addr=", "unix="))] in (
        [],
        ["port=0"],
    ), "a door for SPICE"


def test_b4_a_guest_has_no_device_that_it_does_not_need(guests: list[str]) -> None:
    domain = described(guests[0])
    devices = domain.find("devices")
    assert devices is not None

    kinds = {str(one.tag) for one in devices}
    assert kinds <= {
        "emulator", "disk", "controller", "serial", "console", "channel", "input", "audio", "memballoon", "rng", "video",
        "graphics",
    }  # fmt: skip
    assert {one.get("device") for one in devices.iterfind("disk")} <= {"disk"}, "no floppy, no cdrom"
    assert {one.get("bus") for one in devices.iterfind("disk/target")} == {"virtio"}
    assert {one.get("type") for one in devices.iterfind("audio")} <= {"none"}
    assert {one.get("bus") for one in devices.iterfind("input")} <= {"ps2"}, "no USB tablet"
    assert {one.get("model") for one in devices.iterfind("controller[@type='usb']")} <= {"none"}
    assert {one.get("type") for one in devices.iterfind("video/model")} <= {"vga", "bochs", "virtio"}, "a plain screen"
    assert {one.get("type") for one in devices.iterfind("graphics/listen")} <= {"none"}
    command = " ".join(words_of(process(guests[0]) / "cmdline"))
    for device in ("isa-fdc", "floppy", "usb-", "intel-hda", "AC97", "sb16", "e1000", "rtl8139", "cirrus", "ide-cd"):
        assert f'"driver":"{device}' not in command and f"-device {device}" not in command


def test_c15_hostile_words_add_no_node_to_the_domain(guests: list[str]) -> None:
    shapes = [[str(one.tag) for one in described(server, "--inactive").iter()] for server in guests]
    hostile = described(guests[1], "--inactive")

    drives = [len(described(server).findall("devices/disk")) for server in guests]
    assert drives[0] == drives[1]
    assert shapes[0] == shapes[1]
    assert HOSTILE in [one.text for one in hostile.iter() if isinstance(one.tag, str) and one.tag.endswith("}name")]


def test_l3_what_a_cloud_with_guests_leaves_on_disk_is_closed(real: Cloud, guests: list[str]) -> None:
    assert guests
    assert open_places(real.data) == [] and open_places(storage_of(real)) == []


def test_c11_an_error_of_the_hypervisor_names_no_path_of_the_host(
    real: Cloud, carol: Person, guests: list[str]
) -> None:
    disks = next(storage_of(real).rglob(f"{guests[0]}.root.qcow2")).parent
    run("chattr", "+i", str(disks))
    try:
        server = carol.boot()
    finally:
        run("chattr", "-i", str(disks))

    assert server["status"] == "ERROR"
    said = str(server["fault"]) + carol.ask("GET", f"{SERVERS}/{server['id']}/os-instance-actions").text
    for word in (str(real.data), str(storage_of(real)), "/guests", "libvirt_", "Traceback", "/usr/"):
        assert word not in said, said
    assert carol.ask("DELETE", f"{SERVERS}/{server['id']}").status_code == 204


def open_places(root: Path) -> list[str]:
    """What others than its owner may write, and what they may read though it is nobody else's business."""
    wrong = []
    for path, reachable in reachable_by_others(root, True):
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            continue  # it went meanwhile
        if path.is_symlink():
            continue
        if mode & 0o002:
            wrong.append(f"{path} may be written by everybody: {mode:o}")
        if path.is_file() and reachable and mode & 0o004 and not is_image(path):
            wrong.append(f"{path} may be read by everybody: {mode:o}")
        if path.is_dir() and mode & 0o004:
            wrong.append(f"{path} may be listed by everybody: {mode:o}")
    return wrong


def is_image(path: Path) -> bool:
    """Every guest reads these; which there are, only those know who know their hashes."""
    return path.parent.name == "images" and path.lstat().st_mode & 0o222 == 0


def reachable_by_others(folder: Path, is_open: bool) -> Iterator[tuple[Path, bool]]:
    """Every path below, and whether others get as far as to it."""
    try:
        inside, paths = is_open and bool(folder.stat().st_mode & 0o001), list(folder.iterdir())
    except FileNotFoundError:
        return  # it went meanwhile
    yield folder, is_open
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            yield from reachable_by_others(path, inside)
        else:
            yield path, inside
