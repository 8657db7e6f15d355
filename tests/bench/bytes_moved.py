"""Image bytes: upload against `sha512sum`, download against `cat` over loopback."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from pathlib import Path
from uuid import uuid4

import httpx

from tests.bench.report import Figure, above
from tests.harness.clouds import Cloud

SIZE_MIB = 1024
CHUNK = 1 << 20


def measure(cloud: Cloud, folder: Path) -> list[Figure]:
    file = folder / "bytes.raw"
    with file.open("wb") as target:
        block = b"".join(uuid4().bytes for _ in range(CHUNK // 16))
        for _ in range(SIZE_MIB):
            target.write(block)
    hashing, loopback = mib_per_s(["sha512sum", str(file)]), over_loopback(file)
    with httpx.Client(
        base_url=f"{cloud.url}/image", headers={"x-auth-token": cloud.sdk().authorize()}, timeout=600
    ) as http:
        made = http.post("/v2/images", json={"name": "bench", "disk_format": "raw", "container_format": "bare"})
        image = f"/v2/images/{made.json()['id']}"
        up, down = upload(http, image, file), download(http, image)
        http.delete(image).raise_for_status()
    return [
        above("image upload, of sha512sum's speed", up / hashing * 100, 60, "%", f" ({up:.0f} of {hashing:.0f} MiB/s)"),
        above("image download, of cat's over loopback", down / loopback * 100, 60, "%", f" ({down:.0f} of {loopback:.0f} MiB/s)"),
    ]  # fmt: skip


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


def upload(http: httpx.Client, image: str, file: Path) -> float:
    began = time.perf_counter()
    with file.open("rb") as source:
        chunks = iter(lambda: source.read(CHUNK), b"")
        answer = http.put(f"{image}/file", content=chunks, headers={"content-type": "application/octet-stream"})
    answer.raise_for_status()
    return SIZE_MIB / (time.perf_counter() - began)


def download(http: httpx.Client, image: str) -> float:
    began = time.perf_counter()
    with http.stream("GET", f"{image}/file") as answer:
        size = sum(len(chunk) for chunk in answer.iter_raw(CHUNK))
    assert size == SIZE_MIB * CHUNK
    return SIZE_MIB / (time.perf_counter() - began)
