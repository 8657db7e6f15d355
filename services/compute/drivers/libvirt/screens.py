"""A guest's screen, and the ways to look at it.  It listens nowhere: libvirt hands out connections to it."""

from __future__ import annotations

from collections.abc import Collection

from services.compute.core.consoles import ConsoleKind
from services.compute.core.hardware import Devices
from services.compute.drivers.libvirt.elements import Element, add, parse


def add_screen(devices: Element, ways: Collection[ConsoleKind], wanted: Devices) -> None:
    """By default a plain VGA, which every firmware and system can draw on."""
    if ConsoleKind.VNC in ways:  # one viewer never puts out another
        add(add(devices, "graphics", type="vnc", sharePolicy="force-shared"), "listen", type="none")
    if ConsoleKind.SPICE in ways:
        _spice(add(devices, "graphics", type="spice"))
    if ways:  # libvirt would add one that plays to the viewer
        add(devices, "audio", id="1", type="none")
    model = add(add(devices, "video"), "model", type=(wanted.screen or "vga") if ways else "none")
    if ways and wanted.screen_mib and wanted.screen != "none":
        model.set("vram", str(wanted.screen_mib * 1024))


def _spice(graphics: Element) -> None:
    """Pictures as spice-html5 reads them all, and no way for clipboard or files of whoever looks on."""
    add(graphics, "listen", type="none")
    add(graphics, "image", compression="lz")
    add(graphics, "jpeg", compression="never")
    add(graphics, "zlib", compression="never")
    add(graphics, "streaming", mode="off")
    add(graphics, "clipboard", copypaste="no")
    add(graphics, "filetransfer", enable="no")


def graphics_index(domain: str, kind: ConsoleKind) -> int | None:
    """Which of a domain's graphics it is, counted as libvirt does."""
    kinds = [one.get("type") for one in parse(domain).iterfind("devices/graphics")]
    return kinds.index(kind) if kind in kinds else None
