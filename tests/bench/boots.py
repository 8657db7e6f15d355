"""Booting: what the platform adds to a raw `virsh create`, and how many servers at once."""

from __future__ import annotations

import os
import subprocess
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import httpx
from lxml import etree

from tests.bench.load import percentiles
from tests.bench.report import Figure, above, within
from tests.harness.clouds import Cloud, run
from tests.harness.waiting import until

VIRSH = ("virsh", "-q", "-c", "qemu:///system")
AT_ONCE = 200
IMAGE_BYTES = 32 << 20


def measure(cloud: Cloud, *, times: int = 8) -> list[Figure]:
    """ACTIVE through the whole platform, against libvirt alone with the same domain."""
    platform = Platform(cloud)
    platform.boot_and_delete()
    answered, active, raw = [], [], []
    for _ in range(times):
        posted_s, active_s, domain = platform.boot_and_delete()
        answered.append(posted_s)
        active.append(active_s)
        raw.append(raw_create_s(domain))
    (answered_ms, _), (active_ms, _), (raw_ms, _) = percentiles(answered), percentiles(active), percentiles(raw)
    note = f" (ACTIVE {active_ms:.0f} ms, virsh create {raw_ms:.0f} ms)"
    return [
        within("POST /servers answered, p50", answered_ms, 25, "ms"),
        within("ACTIVE above what virsh create takes, p50", active_ms - raw_ms, 150, "ms", note),
    ]


def measure_first(cloud: Cloud, *, times: int = 5) -> list[Figure]:
    """The first server of an image that its host was told to cache, against the second one."""
    admin, platform = cloud.sdk("pileus-admin"), Platform(cloud)
    [host] = {one.host for one in admin.compute.services(binary="nova-compute")}
    group = admin.compute.create_aggregate(name="bench")
    admin.compute.add_host_to_aggregate(group, host)
    first, second = [], []
    for _ in range(times):
        image = admin.image.create_image(
            f"bench-{uuid4().hex[:6]}", data=os.urandom(IMAGE_BYTES), disk_format="raw", container_format="bare",
            visibility="public", validate_checksum=False,
        )  # fmt: skip
        admin.compute.aggregate_precache_images(group, [image.id])
        until(
            partial(is_cached, cloud, admin.image.get_image(image.id).hash_value), what="the image in the host's cache"
        )
        platform.body["imageRef"] = image.id
        first.append(platform.boot_and_delete()[1])
        second.append(platform.boot_and_delete()[1])
        admin.image.delete_image(image)
    admin.compute.remove_host_from_aggregate(group, host)
    admin.compute.delete_aggregate(group)
    (first_ms, _), (second_ms, _) = percentiles(first), percentiles(second)
    note = f" (ACTIVE {first_ms:.0f} ms, the second {second_ms:.0f} ms)"
    return [within("first boot of a cached image, above the second, p50", first_ms - second_ms, 30, "ms", note)]


def is_cached(cloud: Cloud, sha512: str) -> bool:
    storage = Path(tomllib.loads((cloud.data / "pileus.toml").read_text())["agent"]["storage"])
    return any(one.parent.name not in ("locks", "arriving") for one in storage.rglob(sha512))


def measure_many(cloud: Cloud) -> list[Figure]:
    forget_quota(cloud)
    seconds, failed = boot_many(cloud, AT_ONCE)
    return [above(f"{AT_ONCE} servers at once to ACTIVE", AT_ONCE / seconds, 60, "servers/s", f", {failed} failed")]


class Platform:
    """A client that boots servers and notes how long each part took."""

    def __init__(self, cloud: Cloud) -> None:
        sdk = cloud.sdk()
        self.http = httpx.Client(
            base_url=f"{cloud.url}/compute/v2.1",
            headers={"x-auth-token": sdk.authorize(), "openstack-api-version": "compute 2.37"},
            timeout=60,
            trust_env=False,
        )
        flavor = sdk.compute.find_flavor("pileus.nano", ignore_missing=False)
        self.body = {"flavorRef": flavor.id, "imageRef": next(iter(sdk.image.images())).id, "networks": "none"}

    def post(self, name: str) -> str:
        answer = self.http.post("/servers", json={"server": self.body | {"name": name}})
        answer.raise_for_status()
        return str(answer.json()["server"]["id"])

    def wait(self, server_id: str, wanted: set[str], *, every_s: float = 0.005, within_s: float = 120) -> str:
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            answer = self.http.get(f"/servers/{server_id}")
            status = "GONE" if answer.status_code == 404 else str(answer.json()["server"]["status"])
            if status in wanted:
                return status
            time.sleep(every_s)
        raise AssertionError(f"server {server_id} did not become {wanted}")

    def ids(self, *, status: str) -> set[str]:
        """The servers in this state."""
        answer = self.http.get("/servers", params={"status": status, "limit": 1000})
        answer.raise_for_status()
        return {server["id"] for server in answer.json()["servers"]}

    def boot_and_delete(self) -> tuple[float, float, str]:
        """Seconds until answered, seconds until ACTIVE, and the domain's XML."""
        began = time.perf_counter()
        server_id = self.post(f"bench-{uuid4().hex[:6]}")
        answered_s = time.perf_counter() - began
        assert self.wait(server_id, {"ACTIVE", "ERROR"}) == "ACTIVE"
        active_s = time.perf_counter() - began
        domain = run(*VIRSH, "dumpxml", "--inactive", server_id)
        self.http.delete(f"/servers/{server_id}").raise_for_status()
        self.wait(server_id, {"GONE"})
        return answered_s, active_s, domain


def raw_create_s(domain: str) -> float:
    """Seconds that `virsh create` takes for the same domain on an empty disk of its own."""
    with TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        described = renamed(domain, Path(folder))
        (Path(folder) / "domain.xml").write_text(described)
        began = time.perf_counter()
        run(*VIRSH, "create", f"{folder}/domain.xml")
        took = time.perf_counter() - began
        run(*VIRSH, "destroy", str(etree.fromstring(described).findtext("uuid")))
    return took


def renamed(domain: str, folder: Path) -> str:
    """The same domain under another name, with copies of its disks and a log of its own."""
    tree = etree.fromstring(domain)
    fresh = uuid4()
    tree.find("uuid").text, tree.find("name").text = str(fresh), f"bench-{fresh.hex[:8]}"  # type: ignore[union-attr]
    for own in (*tree.findall("metadata"), *tree.findall("sysinfo")):
        tree.remove(own)
    for smbios in tree.findall("os/smbios"):
        smbios.getparent().remove(smbios)  # type: ignore[union-attr]
    for index, source in enumerate(tree.iterfind("devices/disk/source")):
        disk = folder / f"disk{index}"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(disk), "1G"], check=True)
        source.attrib.clear()
        source.set("file", str(disk))
        source.getparent().set("type", "file")  # type: ignore[union-attr]
        driver = source.getparent().find("driver")  # type: ignore[union-attr]
        driver.set("type", "qcow2")  # type: ignore[union-attr]
    for log in tree.iterfind("devices/serial/log"):
        log.set("file", str(folder / "console.log"))
    return etree.tostring(tree, encoding="unicode")


def forget_quota(cloud: Cloud) -> None:
    for resource in ("--instances", "--cores", "--ram"):
        cloud.openstack("quota", "set", resource, "-1", "demo", cloud="pileus-admin")


def boot_many(cloud: Cloud, count: int) -> tuple[float, int]:
    """Seconds until that many servers are ACTIVE, and how many failed."""
    platform = Platform(cloud)
    names = [f"many-{number}-{uuid4().hex[:4]}" for number in range(count)]
    began = time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(platform.post, names))
    while platform.ids(status="BUILD") & ids:
        time.sleep(0.1)  # one look at all: asking for each would be most of the load
    return time.perf_counter() - began, len(ids - platform.ids(status="ACTIVE"))
