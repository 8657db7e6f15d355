"""Does KVM run guests on this host?  Only a guest can tell.

/dev/kvm may open, and libvirt may promise, where no 64-bit guest survives (clouds inside clouds).  So a guest of a few
hundred bytes (`probe.S`) is run once, through libvirt and under an account of its own like any other guest; the answer is
kept until the host is booted again or qemu changes.
"""

from __future__ import annotations

import base64
import json
import logging
import uuid
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import libvirt
from lxml import etree

from services.compute.drivers.libvirt.domains import account_label
from services.compute.drivers.libvirt.storage import open_kvm

log = logging.getLogger(__name__)

PROOF = b"pileus:ok"
TIMEOUT_S = 5.0
# probe.S, assembled as its head says; a test assembles it again
PROGRAM = base64.b64decode(
    "ArCtGwMAAQD7T1HkAAAQAAAAEAAAAAAAAAAAACAAEAD6/LwAgCAAvwAAIAAxwLkAEAAA86vHBQAAIAADECAAxwUAECAAAyAgAL8AICAA"
    "uIMAAAC5AAIAAIkHBQAAIACDxwji9A8g4IPIIA8i4LgAACAADyLYuYAAAMAPMg0AAQAADzAPIMANAAAAgA8iwA8BFVABEADqnAAQAAgA"
    "uBAAAACO2I7AjtBIu+/Nq4lnRSMBvwAAQAC5ACAAAEiJH0gxP0iBxwAQAADi8bkAIAAASIHvABAAAEiLB0gx+Eg52HUp4uy4DQEQAL8w"
    "MCAAZokHZsdHAggAZsdHBACOwegQiUcGDwEdTQAAAMz06/1IjTUXAAAAuvgDAACshMB0A+7r+Lr5DAAAsAbu699waWxldXM6b2sKAGaQ"
    "AAAAAAAAAAD//wAAAJqvAP//AAAAks8AFwA4ARAA/wAAMCAAAAAAAA=="
)


def choose_virt_type(connection: libvirt.virConnect, wanted: str, *, storage: Path, account: int) -> str:
    """What is wanted, or by proof if that is "auto"; always "test" on libvirt's test driver."""
    if connection.getType() == "TEST":
        return "test"
    if wanted == "auto":
        works = _remembered(connection, storage / "acceleration.json", account)
        log.info("guests run with KVM" if works else "guests run without KVM, by emulation: slower, else the same")
        wanted = "kvm" if works else "qemu"
    if wanted == "kvm":
        open_kvm()
    return wanted


def runs_guests(connection: libvirt.virConnect, virt_type: str, *, storage: Path, account: int) -> bool:
    """True if a 64-bit guest with paging and interrupts ran to its end."""
    with TemporaryDirectory(dir=storage, prefix="probe-") as scratch:
        directory = Path(scratch)
        directory.chmod(0o711)
        kernel, said = directory / "probe.bin", directory / "said"
        kernel.write_bytes(PROGRAM)
        kernel.chmod(0o444)
        said.touch()
        try:
            xml = _probe_xml(virt_type, kernel, said, account)
            domain = connection.createXML(xml, libvirt.VIR_DOMAIN_START_AUTODESTROY)
        except libvirt.libvirtError:
            return False
        try:
            return _says_so(domain, said)
        finally:
            with suppress(libvirt.libvirtError):
                domain.destroy()


def _remembered(connection: libvirt.virConnect, answers: Path, account: int) -> bool:
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    now = {"boot_id": boot_id, "qemu": connection.getVersion(), "uri": connection.getURI()}
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        known = json.loads(answers.read_text())
        if {key: known[key] for key in now} == now:
            return bool(known["kvm"])
    works = _is_offered(connection) and _runs_with_kvm(connection, answers.parent, account)
    answers.write_text(json.dumps({**now, "kvm": works}))
    answers.chmod(0o600)
    return works


def _runs_with_kvm(connection: libvirt.virConnect, storage: Path, account: int) -> bool:
    open_kvm()
    return runs_guests(connection, "kvm", storage=storage, account=account)


def _is_offered(connection: libvirt.virConnect) -> bool:
    capabilities = etree.fromstring(connection.getCapabilities().encode())
    return capabilities.find("guest/arch[@name='x86_64']/domain[@type='kvm']") is not None


def _says_so(domain: libvirt.virDomain, said: Path) -> bool:
    deadline = monotonic() + TIMEOUT_S
    while monotonic() < deadline:
        if PROOF in said.read_bytes():
            return True
        try:
            state = domain.state()[0]
        except libvirt.libvirtError:  # it has reset itself and is gone
            return PROOF in said.read_bytes()
        if state in (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_CRASHED, libvirt.VIR_DOMAIN_SHUTOFF):
            return PROOF in said.read_bytes()  # KVM has given up
        sleep(0.02)
    return False


def _probe_xml(virt_type: str, kernel: Path, said: Path, account: int) -> str:
    domain = etree.Element("domain", type=virt_type)
    etree.SubElement(domain, "name").text = f"pileus-probe-{uuid.uuid4().hex[:12]}"
    etree.SubElement(domain, "memory", unit="MiB").text = "128"
    etree.SubElement(domain, "vcpu").text = "1"
    board = etree.SubElement(domain, "os")
    etree.SubElement(board, "type", arch="x86_64", machine="q35").text = "hvm"
    etree.SubElement(board, "kernel").text = str(kernel)
    etree.SubElement(domain, "cpu", mode="host-model" if virt_type == "kvm" else "maximum")
    for event in ("on_poweroff", "on_reboot", "on_crash"):
        etree.SubElement(domain, event).text = "destroy"
    devices = etree.SubElement(domain, "devices")
    etree.SubElement(devices, "controller", type="usb", model="none")
    serial = etree.SubElement(devices, "serial", type="file")
    etree.SubElement(serial, "source", path=str(said))
    etree.SubElement(etree.SubElement(devices, "video"), "model", type="none")
    etree.SubElement(devices, "memballoon", model="none")
    domain.append(account_label(account))
    return etree.tostring(domain, encoding="unicode")
