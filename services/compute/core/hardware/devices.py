"""A guest's devices, as its image and flavor ask for them.  Names, values and who wins: Nova's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from common.errors import InvalidInput
from services.compute.core.hardware.settings import FLAG, Asked, Setting, any_case, number, words

BUSES = ("virtio", "scsi", "sata", "ide", "usb", "fdc", "xen", "lxc", "uml")
NICS = (
    *("virtio", "e1000", "e1000e", "igb", "rtl8139", "ne2k_pci", "pcnet", "vmxnet", "vmxnet3", "lan9118", "netfront"),
    *("spapr-vlan", "sriov"),
)
OLD_NICS = {
    "virtuale1000": "e1000", "virtuale1000e": "e1000e", "virtualpcnet32": "pcnet",
    "virtualsriovethernetcard": "sriov", "virtualvmxnet": "vmxnet", "virtualvmxnet3": "vmxnet3",
}  # fmt: skip
SCSI = ("virtio-scsi", "lsilogic", "lsisas1068", "lsisas1078", "buslogic", "vmpvscsi", "ibmvscsi")
OLD_SCSI = {"lsilogicsas": "lsisas1068", "paravirtual": "vmpvscsi"}
SCREENS = ("vga", "virtio", "qxl", "bochs", "cirrus", "vmvga", "gop", "xen", "none")
SOUNDS = ("sb16", "es1370", "pcspk", "ac97", "ich6", "ich9", "usb", "virtio")
ACTIONS = ("none", "pause", "poweroff", "reset", "disabled")
DISK_PREFIX = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd"}
"""How the names of disks begin, by their bus."""
UNABLE = ("buslogic", "ibmvscsi")  # controllers that no x86 host plays
MOST_SERIAL_PORTS, MOST_USB_PORTS = 4, 15
DISABLED = "disabled"

# fmt: off
DISK_BUS =      Setting("hw_disk_bus", None, words(*BUSES), "where the root disk is plugged in")
CDROM_BUS =     Setting("hw_cdrom_bus", None, words(*BUSES), "where a CD-ROM is plugged in")
SCSI_MODEL =    Setting("hw_scsi_model", None, any_case(*SCSI, also=OLD_SCSI), "controller of disks on the SCSI bus")
RESCUE_BUS =    Setting("hw_rescue_bus", None, words(*BUSES), "of a rescue image: where its disk is plugged in")
RESCUE_DEVICE = Setting("hw_rescue_device", None, words("disk", "cdrom", "floppy", "lun", "fs"),
                        "of a rescue image: what it is; the server's own disks stay where they are")
NIC =           Setting("hw_vif_model", None, any_case(*NICS, also=OLD_NICS), "network card")
SCREEN =        Setting("hw_video_model", None, words(*SCREENS), "graphics card")
SCREEN_MIB =    Setting("hw_video_ram", None, number(), "its memory in MiB, at most what the flavor allows")
MOST_SCREEN =   Setting(None, "hw_video:ram_max_mb", number(), "MiB that an image may ask for its graphics card")
RNG_MODEL =     Setting("hw_rng_model", None, words("virtio"), "source of random numbers")
RNG_ALLOWED =   Setting(None, "hw_rng:allowed", FLAG, "whether guests have such a source; they do if it is not said")
RNG_BYTES =     Setting(None, "hw_rng:rate_bytes", number(), "bytes of it in each period; 0: any number")
RNG_PERIOD =    Setting(None, "hw_rng:rate_period", number(), "milliseconds of a period")
WATCHDOG =      Setting("hw_watchdog_action", "hw:watchdog_action", words(*ACTIONS),
                        "what happens to a guest that stops feeding its watchdog; the image wins")
AGENT =         Setting("hw_qemu_guest_agent", None, FLAG,
                        "its agent runs: copies of its disk are made while its file systems are at rest")
QUIESCE =       Setting("os_require_quiesce", None, FLAG, "without its agent no copy of its disk is made")
POINTER =       Setting("hw_pointer_model", None, words("usbtablet"), "a pointer that consoles can place exactly")
INPUT_BUS =     Setting("hw_input_bus", None, words("usb", "virtio"), "where keyboard and pointer are plugged in")
SERIAL_PORTS =  Setting("hw_serial_port_count", "hw:serial_port_count", number(),
                        f"serial ports, up to {MOST_SERIAL_PORTS}; an image may have fewer than the flavor says, not more")
SOUND =         Setting("hw_sound_model", "hw:sound_model", words(*SOUNDS), "sound card")
USB =           Setting("hw_usb_model", "hw:usb_model", words("none", "nec-xhci", "qemu-xhci"), "USB controller")
USB_PORTS =     Setting("hw_redirected_usb_ports", "hw:redirected_usb_ports", number(most=MOST_USB_PORTS),
                        "USB ports for devices of whoever looks at a SPICE console")
PACKED_RING =   Setting("hw_virtio_packed_ring", "hw:virtio_packed_ring", FLAG, "packed queues in virtio devices")
# fmt: on

SETTINGS: tuple[Setting[object], ...] = (
    DISK_BUS, CDROM_BUS, SCSI_MODEL, RESCUE_BUS, RESCUE_DEVICE, NIC, SCREEN, SCREEN_MIB, MOST_SCREEN, RNG_MODEL, RNG_ALLOWED,
    RNG_BYTES, RNG_PERIOD, WATCHDOG, AGENT, QUIESCE, POINTER, INPUT_BUS, SERIAL_PORTS, SOUND, USB, USB_PORTS, PACKED_RING,
)  # fmt: skip


class Devices(BaseModel):
    """The defaults are a guest that nothing was said about; None: what suits the host."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    disk_bus: str | None = None
    cdrom_bus: str | None = None
    scsi_model: str = "virtio-scsi"
    rescue_bus: str | None = None
    rescue_device: str | None = None
    nic: str | None = None
    screen: str | None = None
    screen_mib: int = 0
    has_rng: bool = True
    rng_bytes: int = 0  # in each period; 0: any number
    rng_period_ms: int = 0
    watchdog: str | None = None  # what it does
    pointer: str | None = None
    input_bus: str | None = None
    serial_ports: int = 1
    sound: str | None = None
    usb: str | None = None
    usb_ports: int = 0
    has_packed_ring: bool = False

    @property
    def bus(self) -> str:
        """Of the root disk."""
        return self.disk_bus or "virtio"

    def needs_usb(self, others: Collection[str] = ()) -> bool:
        """`others`: buses that disks besides the root are on."""
        buses = {self.disk_bus, self.cdrom_bus, self.rescue_bus, self.sound, self.input_bus}
        has_tablet = self.pointer is not None and self.input_bus is None
        return "usb" in buses or "usb" in others or has_tablet or self.usb_ports > 0


def devices_of(asked: Asked) -> Devices:
    """InvalidInput"""
    asked.must_be_known(SETTINGS)
    return Devices(
        disk_bus=_disk_bus(asked),
        cdrom_bus=_cdrom_bus(asked),
        scsi_model=_scsi_model(asked),
        rescue_bus=asked.image(RESCUE_BUS),
        rescue_device=asked.image(RESCUE_DEVICE),
        nic=asked.image(NIC),
        screen=asked.image(SCREEN),
        screen_mib=_screen_mib(asked),
        has_rng=asked.flavor(RNG_ALLOWED) is not False,
        rng_bytes=asked.flavor(RNG_BYTES) or 0,
        rng_period_ms=asked.flavor(RNG_PERIOD) or 0,
        watchdog=_watchdog(asked),
        pointer=asked.image(POINTER),
        input_bus=asked.image(INPUT_BUS),
        serial_ports=_serial_ports(asked),
        sound=asked.agreed(SOUND),
        usb=asked.agreed(USB),
        usb_ports=asked.agreed(USB_PORTS) or 0,
        has_packed_ring=bool(asked.agreed(PACKED_RING)),
    )


def _disk_bus(asked: Asked) -> str | None:
    """An image converted from VMware says it in words of its own."""
    found = asked.image(DISK_BUS)
    if found is None and (adapter := asked.properties.get("vmware_adaptertype")):
        found = "ide" if adapter == "ide" else "scsi"
    if found == "fdc":
        raise InvalidInput(
            "Requested hardware 'fdc' is not supported: no disk fits into a floppy controller (hw_disk_bus)"
        )
    return found


def _cdrom_bus(asked: Asked) -> str | None:
    found = asked.image(CDROM_BUS)
    if found in ("virtio", "fdc"):
        raise InvalidInput(f"Requested hardware '{found}' is not supported: it has no CD-ROMs (hw_cdrom_bus)")
    return found


def _scsi_model(asked: Asked) -> str:
    adapter = asked.properties.get("vmware_adaptertype")
    if adapter and adapter != "ide" and asked.image(DISK_BUS) is None:
        asked = Asked({"hw_scsi_model": adapter}, {})
    found = asked.image(SCSI_MODEL) or "virtio-scsi"
    if found in UNABLE:
        raise InvalidInput(f"Requested hardware '{found}' is not supported by any host here (hw_scsi_model)")
    return found


def _screen_mib(asked: Asked) -> int:
    wanted, most = asked.image(SCREEN_MIB) or 0, asked.flavor(MOST_SCREEN) or 0
    if wanted > most:
        raise InvalidInput(
            f"The requested amount of video memory {wanted} is higher than the maximum allowed by flavor {most}."
        )
    return wanted


def _watchdog(asked: Asked) -> str | None:
    found = asked.image_first(WATCHDOG)
    return None if found == DISABLED else found


def _serial_ports(asked: Asked) -> int:
    """The image's, if the flavor has as many; 0 means that nothing was said."""
    of_flavor, of_image = asked.flavor(SERIAL_PORTS), asked.image(SERIAL_PORTS)
    if of_flavor and of_image and of_image > of_flavor:
        raise InvalidInput("Forbidden to exceed flavor value of number of serial ports passed in image meta.")
    found = of_image or of_flavor or 1
    if found > MOST_SERIAL_PORTS:
        raise InvalidInput(f"Maximum number of serial port exceeds {MOST_SERIAL_PORTS} for this hypervisor")
    return found


def root_bus(properties: Mapping[str, Any]) -> str:
    """Where its image says that the root disk is plugged in."""
    found = str(properties.get("hw_disk_bus"))
    return found if found in DISK_PREFIX else "virtio"


def root_device(properties: Mapping[str, Any]) -> str:
    """What the guest calls its root disk, by what its image says: "/dev/vda"."""
    return f"/dev/{DISK_PREFIX[root_bus(properties)]}a"
