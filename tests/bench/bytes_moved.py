"""Image bytes: upload against `sha512sum`, download against `cat` over loopback."""

from __future__ import annotations

import http.client
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import uuid4

from openstack.connection import Connection

from tests.bench.report import Figure, above, told
from tests.harness.clouds import Cloud

SIZE_MIB = 1024
CHUNK = 1 << 20
TIMES = 3  # the quickest of each counts: what else the machine does hits some of them
AT_ONCE, PART_MIB = 100, 16


def measure(cloud: Cloud, folder: Path) -> list[Figure]:
    file = folder / "bytes.raw"
    with file.open("wb") as target:
        block = b"".join(uuid4().bytes for _ in range(CHUNK // 16))
        for _ in range(SIZE_MIB):
            target.write(block)
    sdk = cloud.sdk()
    client = Client(cloud.listen, sdk.authorize())
    image = new_image(sdk)
    hashing, up, loopback, down, many = ([0.0] * TIMES for _ in range(5))
    for turn in range(TIMES):
        sdk.image.delete_image(image)
        image = new_image(sdk)
        hashing[turn] = mib_per_s(["sha512sum", str(file)])
        up[turn] = speed(partial(client.upload, image, file))
        loopback[turn] = over_loopback(file)
        down[turn] = speed(partial(client.download, image))
        many[turn] = speed(partial(client.download_many, image, AT_ONCE, PART_MIB), AT_ONCE * PART_MIB)
    sdk.image.delete_image(image)
    file.unlink()
    return [
        share("image upload, of sha512sum's speed", max(up), max(hashing), 60),
        share("image download, of cat's over loopback", max(down), max(loopback), 60),
        share(f"{AT_ONCE} image downloads at once, of one's speed", max(many), max(down), 80),
        told(
            "resident memory at most, with all that", f"{most_memory_mib(cloud)} MiB of the whole cloud in one process"
        ),
    ]


def share(what: str, value: float, of: float, least: float) -> Figure:
    return above(what, value / of * 100, least, "%", f" ({value:.0f} of {of:.0f} MiB/s)")


def new_image(sdk: Connection) -> str:
    made = sdk.image.create_image("bench", disk_format="raw", container_format="bare", allow_duplicates=True)
    return str(made.id)


class Client:
    """As light as a client can be: what a costly one does with the bytes is not the cloud's speed."""

    def __init__(self, listen: str, token: str) -> None:
        self._listen, self._token = listen, token

    def upload(self, image: str, file: Path) -> None:
        connection = self._connected()
        connection.putrequest("PUT", self._path(image))
        for name, value in (("content-type", "application/octet-stream"), ("x-auth-token", self._token)):
            connection.putheader(name, value)
        connection.putheader("content-length", str(file.stat().st_size))
        connection.endheaders()
        with file.open("rb") as source:
            connection.sock.sendfile(source)
        assert connection.getresponse().status == 204
        connection.close()

    def download(self, image: str, first: int = 0, size: int = SIZE_MIB * CHUNK) -> None:
        connection = self._connected()
        wanted = {"range": f"bytes={first}-{first + size - 1}", "x-auth-token": self._token}
        connection.request("GET", self._path(image), headers=wanted)
        answer, buffer, got = connection.getresponse(), bytearray(CHUNK), 0
        while count := answer.readinto(buffer):
            got += count
        connection.close()
        assert got == size

    def download_many(self, image: str, count: int, size_mib: int) -> None:
        """Each another part of the image, all at the same time."""
        places = [number * size_mib % SIZE_MIB * CHUNK for number in range(count)]
        threads = [threading.Thread(target=self.download, args=(image, at, size_mib * CHUNK)) for at in places]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _connected(self) -> http.client.HTTPConnection:
        host, _, port = self._listen.partition(":")
        return http.client.HTTPConnection(host, int(port), timeout=600, blocksize=CHUNK)

    def _path(self, image: str) -> str:
        return f"/image/v2/images/{image}/file"


def speed(work: Callable[[], None], size_mib: int = SIZE_MIB) -> float:
    began = time.perf_counter()
    work()
    return size_mib / (time.perf_counter() - began)


def most_memory_mib(cloud: Cloud) -> int:
    [pid] = cloud.pids().values()
    [line] = [one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmHWM")]
    return int(line.split()[1]) >> 10


def mib_per_s(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return SIZE_MIB / (time.perf_counter() - began)


def over_loopback(file: Path) -> float:
    """`cat` into a socket whose other end throws the bytes away."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=swallow, args=(listener,))
        thread.start()
        began = time.perf_counter()
        with socket.create_connection(listener.getsockname()) as sender:
            subprocess.run(["cat", str(file)], stdout=sender.fileno(), check=True)
        thread.join()
        return SIZE_MIB / (time.perf_counter() - began)


def swallow(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        while connection.recv(CHUNK):
            pass
