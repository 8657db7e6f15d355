"""The guest image: built from this machine's packages, booted under plain qemu, and used as a person would."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from oslo_utils.imageutils import format_inspector

from tests.integration.deploy.bare_guest import BareGuest, running_guest

USER_DATA = "#!/bin/sh\necho user data ran on $(hostname)\n"


def metadata(key: str = "ssh-ed25519 AAAA somebody") -> str:
    said = {
        "uuid": "6f5e",
        "hostname": "cumulus.example.org",
        "admin_pass": "cirrus",
        "public_keys": {"mine": key + "\n"},
    }
    return json.dumps(said)


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """A folder laid out as a config drive."""
    latest = tmp_path / "documents/openstack/latest"
    latest.mkdir(parents=True)
    (latest / "meta_data.json").write_text(metadata())
    (latest / "user_data").write_text(USER_DATA)
    return tmp_path / "documents"


def iso_drive(documents: Path) -> Path:
    drive = documents.parent / "drive.iso"
    subprocess.run(["genisoimage", "-quiet", "-R", "-J", "-V", "config-2", "-o", drive, documents], check=True)
    return drive


def vfat_drive(documents: Path) -> Path:
    drive = documents.parent / "drive.vfat"
    with drive.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["mkfs.vfat", "-n", "CONFIG-2", drive], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["mcopy", "-s", "-i", drive, documents / "openstack", "::"], check=True)
    return drive


# fmt: off
CONFIG_DRIVES = {
    "iso9660 on virtio-blk":   (iso_drive,  ["-drive", "file={},if=virtio,format=raw,readonly=on"]),
    "vfat on virtio-blk":      (vfat_drive, ["-drive", "file={},if=virtio,format=raw,readonly=on"]),
    "iso9660 on a virtio-scsi CD": (iso_drive,  ["-device", "virtio-scsi-pci", "-device", "scsi-cd,drive=cd",
                                             "-drive", "file={},if=none,id=cd,format=raw,readonly=on"]),
}
# fmt: on


@pytest.fixture
def metadata_server(tmp_path: Path) -> Iterator[int]:
    """Listening port of a metadata service that gives out the key `tmp_path/key`."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    answers = {
        "/openstack/latest/meta_data.json": metadata((tmp_path / "key.pub").read_text().strip()),
        "/openstack/latest/user_data": USER_DATA,
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path in answers else 404)
            self.end_headers()
            self.wfile.write(answers.get(self.path, "").encode())

        def log_message(self, format: str, *args: object) -> None:
            """Silence: the guest's console tells what was fetched."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_the_image_is_a_plain_qcow2_that_the_image_service_will_accept(guest_image: Path) -> None:
    inspector = format_inspector.detect_file_format(str(guest_image))

    assert inspector is not None and str(inspector) == "qcow2"
    inspector.safety_check()
    assert guest_image.stat().st_size < 32 << 20


def test_without_a_nic_the_guest_boots_to_a_login_that_takes_the_documented_password(
    guest_image: Path, tmp_path: Path
) -> None:
    with running_guest(guest_image, tmp_path) as guest:
        guest.wait_for("pileus guest ready host=pileus-guest address=none")
        guest.wait_for("pileus-guest login:")

        log_in(guest, "pileus")
        guest.type("echo I am $(id -un), root has $(df -m / | awk 'END {print $2}') MiB")

        guest.wait_for("I am pileus, root has 9")  # 9xx of 1024 MiB: the image itself holds 40


def log_in(guest: BareGuest, user: str) -> None:
    guest.type(user)
    guest.wait_for("Password:")
    guest.type("pileus")
    guest.wait_for("pileus@pileus-guest:~$")


def test_the_power_button_switches_the_guest_off(guest_image: Path, tmp_path: Path) -> None:
    with running_guest(guest_image, tmp_path) as guest:
        guest.wait_for("pileus guest ready")

        guest.press_power_button()

        guest.switches_itself_off(within_s=180)


@pytest.mark.parametrize("kind", CONFIG_DRIVES)
def test_a_config_drive_names_the_guest_and_its_script_runs(
    guest_image: Path, tmp_path: Path, documents: Path, kind: str
) -> None:
    make, options = CONFIG_DRIVES[kind]
    drive = make(documents)

    with running_guest(guest_image, tmp_path, options=[option.format(drive) for option in options]) as guest:
        guest.wait_for("cumulus login:")

    assert "has metadata from: config drive" in guest.console
    assert "password: adminPass of the server." in guest.console and "password: pileus" not in guest.console
    assert "user data ran on cumulus" in guest.console


def test_with_a_nic_the_guest_gets_a_lease_metadata_and_lets_its_key_in_by_ssh(
    guest_image: Path, tmp_path: Path, metadata_server: int
) -> None:
    # a network of qemu's own: DHCP inside, closed to the outside but for the metadata service and one way to ssh
    network = f"user,id=net,restrict=on,net=169.254.169.0/24,dhcpstart=169.254.169.15,hostfwd=tcp:127.0.0.1:{0}-:22"
    network += f",guestfwd=tcp:169.254.169.254:80-cmd:socat - tcp:127.0.0.1:{metadata_server}"
    options = ["-netdev", network, "-device", "virtio-net-pci,netdev=net,romfile="]

    with running_guest(guest_image, tmp_path, options=options) as guest:
        guest.wait_for("pileus guest ready host=cumulus address=169.254.169.15/24")
        assert "has metadata from: metadata service" in guest.console

        said = ssh(tmp_path / "key", port=forwarded_port(guest), command="id -un; hostname")

    assert said.split() == ["pileus", "cumulus"]


def forwarded_port(guest: BareGuest) -> int:
    """Host port that qemu chose for the guest's ssh."""
    listening = subprocess.run(["ss", "-Hltnp"], check=True, capture_output=True, text=True).stdout
    [line] = [line for line in listening.splitlines() if f"pid={guest.process.pid}," in line]
    return int(line.split()[3].rsplit(":", 1)[1])


def ssh(key: Path, *, port: int, command: str) -> str:
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes", "ConnectTimeout=60"]
    arguments = [part for option in options for part in ("-o", option)]
    whole = ["ssh", *arguments, "-i", str(key), "-p", str(port), "pileus@127.0.0.1", command]
    return subprocess.run(whole, check=True, capture_output=True, text=True, timeout=90).stdout


def test_the_key_changes_with_the_sources_and_with_nothing_else(deploy: Path, tmp_path: Path) -> None:
    def key() -> str:
        return subprocess.run([copy / "build.sh", "--key"], check=True, capture_output=True, text=True).stdout

    copy = tmp_path / "copy"
    shutil.copytree(deploy / "guest-image", copy)
    first = key()

    (copy / "README.md").write_text("other words")
    assert key() == first
    (copy / "rootfs/etc/issue").write_text("another greeting")
    assert key() != first


def test_a_missing_package_is_named_with_the_command_that_installs_it(deploy: Path, tmp_path: Path) -> None:
    hide = "mount -t tmpfs none /usr/lib/syslinux && exec"
    build = f"{deploy}/guest-image/build.sh {tmp_path}/guest.qcow2"

    refused = subprocess.run(["unshare", "--mount", "sh", "-c", f"{hide} {build}"], capture_output=True, text=True)

    assert refused.returncode == 1
    assert "apt-get install --no-install-recommends syslinux-common" in refused.stderr
    assert not list(tmp_path.iterdir())
