"""A real guest's serial line: keys go in, words come out, and the log of them stays small whatever the guest prints (O6)."""

from __future__ import annotations

import os
from pathlib import Path

from services.compute.core.consoles import ConsoleKind
from services.compute.drivers.libvirt import LibvirtHypervisor
from tests.harness.libvirt_node import LibvirtNode
from tests.integration.compute.drivers.test_libvirt_boot import boots
from tests.unit.compute.drivers.builders import a_spec, eventually, libvirt_options

LIMIT, FILES = 65_536, 4  # of virtlogd: the newest file and three older ones
PRINTED = 400_000


def test_a_guest_that_prints_without_end_fills_no_disk(node: LibvirtNode, place: Path, bootable: Path) -> None:
    hypervisor = LibvirtHypervisor(libvirt_options(place, uri=node.uri))
    spec = a_spec(memory_mib=256)
    hypervisor.create(spec, bootable)
    assert boots(hypervisor, spec, times=1)
    line = hypervisor.open_console(spec.server_id, ConsoleKind.SERIAL)

    def typed(text: str) -> None:
        os.write(line, text.encode())

    def said(words: bytes) -> bool:
        return eventually(lambda: words in taken(line, everything))

    everything = bytearray()
    typed("root\n")
    assert said(b"Password:")
    typed("pileus\n")
    assert said(b"# ")
    typed(f"yes 0123456789abcdef | head -c {PRINTED}; echo the $((6*7))nd\n")
    assert said(b"the 42nd")

    assert len(everything) > PRINTED
    files = list((place / "guests/consoles").glob(f"{spec.server_id}.log*"))
    assert len(files) <= FILES
    assert sum(file.stat().st_size for file in files) <= FILES * LIMIT
    newest = hypervisor.console(spec.server_id, max_bytes=102_400)
    assert len(newest) == 102_400 and b"the 42nd" in newest
    os.close(line)
    hypervisor.destroy(spec.server_id)
    hypervisor.close()


def taken(line: int, everything: bytearray) -> bytearray:
    """All that came so far."""
    try:
        while chunk := os.read(line, 65_536):
            everything += chunk
    except BlockingIOError:
        pass
    return everything
