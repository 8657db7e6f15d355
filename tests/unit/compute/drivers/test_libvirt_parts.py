from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path
from uuid import UUID, uuid4

import libvirt
import pytest

from common.errors import DeadlineExceeded, HostFailed, InvalidInput, NotFound, Unavailable
from services.compute.drivers.libvirt import acceleration, check_storage
from services.compute.drivers.libvirt.accounts import Accounts
from services.compute.drivers.libvirt.config_drives import build_config_drive
from services.compute.drivers.libvirt.connection import Connection
from services.compute.drivers.libvirt.consoles import Consoles
from services.compute.drivers.libvirt.copies import end_job
from services.compute.drivers.libvirt.disks import Disks
from tests.unit.compute.drivers.builders import a_place, libvirt_options


def a_connection(uri: str = "test:///default", call_timeout_s: float = 5) -> Connection:
    return Connection(uri, call_timeout_s=call_timeout_s, on_open=lambda _: None)


def test_a_call_that_hangs_ends_at_its_deadline_and_holds_up_no_other() -> None:
    connection, release = a_connection(), threading.Event()

    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        connection.call(lambda _: release.wait(120), timeout_s=0.2)

    assert time.monotonic() - started < 60
    assert connection.call(lambda opened: opened.getType()) == "TEST"
    release.set()
    connection.close()


def test_libvirts_errors_leave_as_ours() -> None:
    connection = a_connection()

    with pytest.raises(NotFound) as caught:
        connection.call(lambda opened: opened.lookupByName("none"), server_id="s1")

    assert isinstance(caught.value.__cause__, libvirt.libvirtError)
    assert caught.value.facts == {"server_id": "s1", "said": "Domain not found"}
    connection.close()


def test_a_libvirt_that_is_not_there_is_unavailable() -> None:
    connection = a_connection("qemu+unix:///system?socket=/nowhere/at/all")

    with pytest.raises(Unavailable):
        connection.call(lambda opened: opened.getType())
    connection.close()


class PoolsThatGo:
    """libvirt's own test driver, in which another cloud ends its pool just after it was listed."""

    def __init__(self, opened: libvirt.virConnect, theirs: str) -> None:
        self._opened, self._theirs = opened, theirs

    def listAllStoragePools(self, flags: int) -> list[libvirt.virStoragePool]:
        listed: list[libvirt.virStoragePool] = self._opened.listAllStoragePools(flags)
        self._opened.storagePoolLookupByName(self._theirs).destroy()
        return listed


def test_another_cloud_s_pool_that_goes_while_one_looks_is_nobodys_trouble(tmp_path: Path) -> None:
    opened = libvirt.open("test:///default")
    theirs = f"<pool type='dir'><name>pileus-theirs</name><target><path>{tmp_path}/theirs</path></target></pool>"
    opened.storagePoolCreateXML(theirs, 0)

    Disks(libvirt_options(tmp_path))._end_earlier_pool(PoolsThatGo(opened, "pileus-theirs"))

    assert "pileus-theirs" not in opened.listStoragePools()
    opened.close()


def test_a_guest_keeps_its_account_and_shares_it_with_nobody(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path, first_uid=1000, uid_count=20)  # so few that ids collide
    servers = [uuid4() for _ in range(15)]

    claimed = {server: accounts.claim(server) for server in servers}

    assert len(set(claimed.values())) == 15
    assert all(1000 <= uid < 1020 for uid in claimed.values())
    assert {server: accounts.claim(server) for server in servers} == claimed


def test_released_accounts_are_free_again(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path, first_uid=1000, uid_count=2)
    first, second, third = (uuid4() for _ in range(3))
    accounts.claim(first)
    accounts.claim(second)
    with pytest.raises(HostFailed):
        accounts.claim(third)

    accounts.release(first)
    accounts.release(first)

    assert accounts.claim(third) in {1000, 1001}


def test_storage_behind_a_closed_directory_is_refused_by_its_name() -> None:
    with a_place() as place:
        closed = place / "closed"
        (closed / "open").mkdir(parents=True)
        closed.chmod(0o700)

        with pytest.raises(InvalidInput, match=f"{closed} lets only its owner pass"):
            check_storage(closed / "open" / "not-yet-there")
        closed.chmod(0o711)
        check_storage(closed / "open" / "not-yet-there")


def test_a_config_drive_holds_its_files_under_the_right_label(tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    files = {"openstack/latest/meta_data.json": '{"a": 1}', "openstack/latest/user_data": "#!/bin/sh\n"}

    build_config_drive(files, drive)

    told = subprocess.run(["isoinfo", "-d", "-i", str(drive)], capture_output=True, text=True, check=True).stdout
    listed = subprocess.run(
        ["isoinfo", "-R", "-f", "-i", str(drive)], capture_output=True, text=True, check=True
    ).stdout
    assert "Volume id: config-2" in told
    assert {f"/{name}" for name in files} <= set(listed.splitlines())
    assert [path.name for path in tmp_path.iterdir()] == ["drive"]


def test_a_config_drive_of_vfat_holds_the_same(tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    files: dict[str, str | bytes] = {
        "openstack/latest/meta_data.json": '{"a": 1}',
        "openstack/latest/user_data": b"\x1f\x8b\x00\xff",
        "ec2/latest/x": "",
    }

    build_config_drive(files, drive, form="vfat")

    label = subprocess.run(["mlabel", "-s", "-i", str(drive), "::"], capture_output=True, text=True, check=True).stdout
    held = [
        subprocess.run(["mtype", "-i", str(drive), f"::{name}"], capture_output=True, check=True).stdout
        for name in files
    ]
    assert label.lower().split()[-1] == "config-2"
    assert held == [b'{"a": 1}', b"\x1f\x8b\x00\xff", b""]
    assert drive.stat().st_blocks * 512 < 1 << 20  # the rest is a hole


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../b", "", "."])
def test_a_config_drive_takes_no_path_out_of_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput):
        build_config_drive({name: "x"}, tmp_path / "drive")

    assert list(tmp_path.iterdir()) == []


def test_the_newest_console_bytes_are_put_together_from_rotated_files(tmp_path: Path) -> None:
    consoles, server_id = Consoles(tmp_path), UUID(int=1)
    for suffix, text in (("", "now\n"), (".0", "before\n"), (".1", "long ago\n")):
        (tmp_path / f"{server_id}.log{suffix}").write_text(text)

    assert consoles.newest(server_id, max_bytes=100) == b"long ago\nbefore\nnow\n"
    assert consoles.newest(server_id, max_bytes=7) == b"re\nnow\n"
    assert consoles.owners() == {server_id}
    consoles.remove(server_id)
    assert list(tmp_path.iterdir()) == []


def test_the_probe_in_the_code_is_the_one_in_its_source(tmp_path: Path) -> None:
    source = Path(acceleration.__file__).with_name("probe.S")
    wanted, built = tmp_path / "probe.o", tmp_path / "probe.bin"

    subprocess.run(["as", "--64", "-o", str(wanted), str(source)], check=True)
    subprocess.run(["ld", "-Ttext", "0x100000", "--oformat", "binary", "-o", str(built), str(wanted)], check=True)

    assert built.read_bytes() == acceleration.PROGRAM


class JobOf:
    """A running domain whose job libvirt tells of in one way."""

    def __init__(self, error: tuple[int, str] | None) -> None:
        self._error, self.aborted = error, 0

    def isActive(self) -> int:
        return 1

    def jobInfo(self) -> list[int]:
        if self._error is None:
            return [libvirt.VIR_DOMAIN_JOB_NONE]
        error = libvirt.libvirtError("")
        code, message = self._error
        error.args, error.err = (message,), (code, 10, message, 2, None, None, None, -1, -1)
        raise error

    def abortJob(self) -> None:
        self.aborted += 1


BEGINNING = (libvirt.VIR_ERR_INTERNAL_ERROR, "internal error: backup job data missing")


@pytest.mark.parametrize(
    ("error", "is_there"), [(None, False), ((libvirt.VIR_ERR_OPERATION_INVALID, "off"), False), (BEGINNING, True)]
)
def test_a_job_that_libvirt_has_no_data_of_yet_is_one_to_end(error: tuple[int, str] | None, is_there: bool) -> None:
    domain = JobOf(error)

    assert (end_job(domain), domain.aborted) == (is_there, int(is_there))


def test_another_error_of_libvirts_is_no_job() -> None:
    with pytest.raises(libvirt.libvirtError, match="disk on fire"):
        end_job(JobOf((libvirt.VIR_ERR_INTERNAL_ERROR, "disk on fire")))
