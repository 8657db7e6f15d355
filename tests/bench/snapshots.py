"""Images of servers: what the platform adds to the copying itself, and how long it is until the image can be used."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from openstack.connection import Connection

from tests.bench.report import Figure, told, within
from tests.harness.clouds import Cloud, run
from tests.harness.waiting import until
from tests.security.platform.people import storage_of

DATA_GIB = 2
TIMES = 5


def measure(cloud: Cloud, folder: Path) -> list[Figure]:
    """Of a server with 2 GiB of data in its disk that nothing makes smaller: off, and then running."""
    sdk = cloud.sdk()
    server = a_stopped_server(cloud, sdk)
    disk = storage_of(cloud) / "disks" / f"{server}.root.qcow2"
    fill(disk, folder / "data")
    figures = compared(sdk, server, disk, folder / "converted.qcow2", "")
    sdk.compute.start_server(server)
    sdk.compute.wait_for_server(sdk.compute.get_server(server), wait=120)
    until(lambda: has_booted(sdk, server), within_s=120, what="the guest's login prompt")
    figures += compared(sdk, server, disk, folder / "converted.qcow2", "live ")
    sdk.compute.delete_server(server)
    return figures


def compared(sdk: Connection, server: str, disk: Path, target: Path, kind: str) -> list[Figure]:
    plain, copied, whole = [], [], []
    for _ in range(TIMES):
        plain.append(converted(disk, target))
        target.unlink()
        one, all_of_it = imaged(sdk, server)
        copied.append(one)
        whole.append(all_of_it)
    more, both = (min(copied) / min(plain) - 1) * 100, f" ({min(copied):.2f} against {min(plain):.2f} s)"
    return [
        within(f"{kind}snapshot's copy, above qemu-img's time", more, 10, "%", both),
        told(f"{kind}snapshot of 2 GiB of data, until its image is active", f"{min(whole):.2f} s"),
    ]


def has_booted(sdk: Connection, server: str) -> bool:
    """Whatever a guest does while it boots would slow down one side of the comparison alone."""
    return "login:" in str(sdk.compute.get_server_console_output(server)["output"])


def a_stopped_server(cloud: Cloud, sdk: Connection) -> str:
    image, flavor = sdk.image.find_image("pileus-guest"), a_flavor(cloud)
    made = sdk.compute.create_server(name="imaged", image_id=image.id, flavor_id=flavor, networks="none")
    server = sdk.compute.wait_for_server(made)
    sdk.compute.stop_server(server)
    sdk.compute.wait_for_server(server, status="SHUTOFF", wait=120)
    return str(server.id)


def a_flavor(cloud: Cloud) -> str:
    """With a disk that has room for the data."""
    made = cloud.sdk("pileus-admin").compute.create_flavor(name=f"f-{uuid4().hex[:6]}", ram=128, vcpus=1, disk=4)
    return str(made.id)


def fill(disk: Path, data: Path) -> None:
    for start_gib in range(1, 1 + DATA_GIB):
        with data.open("wb") as file:
            for _ in range(1024):
                file.write(os.urandom(1 << 20))
        run("qemu-io", "-f", "qcow2", "-c", f"write -s {data} {start_gib}G 1G", str(disk))
        data.unlink()


def converted(disk: Path, target: Path) -> float:
    """As long as qemu-img alone takes for the same, in seconds."""
    began = time.perf_counter()
    subprocess.run(
        ["qemu-img", "convert", "-U", "-f", "qcow2", "-O", "qcow2", "-W", str(disk), str(target)], check=True
    )
    return time.perf_counter() - began


def imaged(sdk: Connection, server: str) -> tuple[float, float]:
    """Seconds from the request until the disk is copied, by the step's own times; and until the image is active."""
    began = time.perf_counter()
    image = sdk.compute.create_server_image(server, f"bench-{uuid4().hex[:6]}", wait=False)
    found = until(lambda: active(sdk, image.id), within_s=120, every_s=0.02, what="the image")
    whole = time.perf_counter() - began
    until(lambda: sdk.compute.get_server(server).task_state is None, within_s=30, what="the server's rest")
    sdk.image.delete_image(found.id)
    return copying(sdk, server), whole


def active(sdk: Connection, image_id: str) -> Any:
    image = sdk.image.get_image(image_id)
    return image if image.status == "active" else None


def copying(sdk: Connection, server: str) -> float:
    """From the request to the end of the copy, as the timeline has it."""
    [newest, *_] = sdk.compute.server_actions(server)
    shown = sdk.compute.get_server_action(newest.request_id, server)
    ends = [moment(one["finish_time"]) for one in shown.events if one["event"] == "compute_copy"]
    return max(ends) - moment(shown.start_time)


def moment(written: str) -> float:
    return time.mktime(time.strptime(written[:19], "%Y-%m-%dT%H:%M:%S")) + float(f"0{written[19:] or '.0'}")
