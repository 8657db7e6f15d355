"""`make cloud-init`: an ordinary Debian boots in a cloud, and its own cloud-init makes it the server that was asked for."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from cli.guest_image import cache
from tests.conftest import missing
from tests.harness.clouds import Cloud, embedded
from tests.harness.waiting import until

BUILDER = Path(__file__).parent / "debian/build.sh"
BUILT_S = 1200
FRESH_S = 7 * 86_400  # Debian's packages change; an older disk is built anew
BOOTED_S = 600.0  # emulated on a busy machine
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me"
USER_DATA = """\
#cloud-config
write_files:
  - {path: /etc/from-user, content: by its owner}
runcmd:
  - |
    {
      echo "answer name $(hostname)"
      echo "answer instance $(cloud-init query instance_id)"
      echo "answer source $(cloud-init query platform) $(cloud-init query subplatform)"
      echo "answer zone $(cloud-init query availability_zone)"
      echo "answer colour $(cloud-init query ds.meta_data.meta.colour)"
      echo "answer key $(cut -d' ' -f2 /home/debian/.ssh/authorized_keys)"
      echo "answer file $(cat /etc/from-user)"
      echo "answer root $(df --output=size --block-size=M / | tail -n1)"
      echo "answer sshd $(systemctl is-active ssh)"
      echo "answers end"
    } >/dev/ttyS0
"""


@pytest.fixture(scope="module")
def disk() -> Path:
    """Debian, as it is before its first boot."""
    if os.geteuid() != 0:
        missing("root, which installing Debian needs")
    file = cache() / "debian-guest.qcow2"
    oldest = max(BUILDER.stat().st_mtime, time.time() - FRESH_S)
    if not file.exists() or file.stat().st_mtime < oldest:
        file.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([BUILDER, file], check=True, timeout=BUILT_S)
    return file


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with embedded(tmp_path_factory.mktemp("debian") / "data") as cloud:
        yield cloud


@pytest.mark.timeout(2400)
def test_debian_becomes_the_server_that_was_asked_for(disk: Path, cloud: Cloud) -> None:
    name = f"debian-{uuid4().hex[:6]}"
    cloud.openstack("flavor", "create", "--ram", "768", "--vcpus", "2", "--disk", "3", "debian", cloud="pileus-admin")
    cloud.openstack("image", "create", "--disk-format", "qcow2", "--file", str(disk), "debian")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "key.pub").write_text(KEY)
        Path(folder, "user-data").write_text(USER_DATA)
        cloud.openstack("keypair", "create", "--public-key", f"{folder}/key.pub", "mine")
        server = cloud.openstack_json(
            "server", "create", "--wait", "--flavor", "debian", "--image", "debian", "--nic", "none", "--key-name", "mine",
            "--property", "colour=blue", "--user-data", f"{folder}/user-data", name,
        )  # fmt: skip
    console = cloud.sdk().compute

    def said() -> str:
        return str(console.get_server_console_output(server["id"], length=None)["output"])

    until(lambda: "answers end" in said(), within_s=BOOTED_S, every_s=2, what="cloud-init's last word")

    answers: dict[str, str] = dict(
        line.split("answer ", 1)[1].split(" ", 1) for line in said().splitlines() if "answer " in line
    )
    assert answers["name"] == name
    assert answers["instance"] == server["id"]
    assert answers["source"].startswith("configdrive config-disk")
    assert answers["zone"] == "nova"
    assert answers["colour"] == "blue"
    assert answers["key"] == KEY.split()[1]
    assert answers["file"] == "by its owner"
    assert int(answers["root"].strip().rstrip("M")) > 2500, "the root file system did not grow with its disk"
    assert answers["sshd"] == "active"
