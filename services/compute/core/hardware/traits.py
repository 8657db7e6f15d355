"""Which traits a host needs for a guest of some hardware.  Names: os-traits; which words need which: Nova's request filters.

Only what was asked for by name needs one: a guest that nothing was said about fits everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from services.compute.core.hardware.boards import REQUIRED, UEFI, Board
from services.compute.core.hardware.devices import Devices

BUS, SCREEN, NIC = "COMPUTE_STORAGE_BUS", "COMPUTE_GRAPHICS_MODEL", "COMPUTE_NET_VIF_MODEL"
SOUND, USB, VIOMMU = "COMPUTE_SOUND_MODEL", "COMPUTE_USB_MODEL", "COMPUTE_VIOMMU_MODEL"
TPM, TPM_SECRET, IMAGE_TYPE = "COMPUTE_SECURITY_TPM", "COMPUTE_SECURITY_TPM_SECRET_SECURITY", "COMPUTE_IMAGE_TYPE"
BIOS_FIRMWARE, UEFI_FIRMWARE = "COMPUTE_FIRMWARE_BIOS", "COMPUTE_FIRMWARE_UEFI"
SECURE_BOOT, STATELESS = "COMPUTE_SECURITY_UEFI_SECURE_BOOT", "COMPUTE_SECURITY_STATELESS_FIRMWARE"
DISK_ENCRYPTION = "COMPUTE_EPHEMERAL_ENCRYPTION"
PACKED = "COMPUTE_NET_VIRTIO_PACKED"
ENCRYPTION = {
    "amd-sev": "HW_CPU_X86_AMD_SEV", "amd-sev-es": "HW_CPU_X86_AMD_SEV_ES", "amd-sev-snp": "HW_CPU_X86_AMD_SEV_SNP",
}  # fmt: skip

_ONE_OF: Mapping[str, Callable[[Devices], Iterable[str | None]]] = {
    BUS: lambda devices: (devices.disk_bus, devices.cdrom_bus),
    SCREEN: lambda devices: (devices.screen,),
    NIC: lambda devices: (devices.nic,),
    SOUND: lambda devices: (devices.sound,),
    USB: lambda devices: (None if devices.usb == "none" else devices.usb,),
}


def named(prefix: str, word: str) -> str:
    return f"{prefix}_{word.replace('-', '_').replace('.', '_').upper()}"


def traits_of(board: Board, devices: Devices) -> frozenset[str]:
    found = {named(prefix, word) for prefix, words in _ONE_OF.items() for word in words(devices) if word is not None}
    if devices.has_packed_ring:
        found.add(PACKED)
    return frozenset(found | set(_of_board(board)))


def _of_board(board: Board) -> Iterable[str]:
    if board.firmware == UEFI:
        yield UEFI_FIRMWARE
    if board.secure_boot == REQUIRED:
        yield SECURE_BOOT
    if board.is_stateless:
        yield STATELESS
    if board.viommu is not None:
        yield named(VIOMMU, board.viommu)
    if board.encryption is not None:
        yield ENCRYPTION[board.encryption]
    if board.disk_encryption is not None:
        yield DISK_ENCRYPTION
        if board.disk_encryption:
            yield named(DISK_ENCRYPTION, board.disk_encryption)
    if (tpm := board.tpm) is not None:
        yield named(TPM, tpm.version)
        yield named(TPM, tpm.model.removeprefix("tpm-"))
        yield named(TPM_SECRET, tpm.secret)


def offered(
    *,
    buses: Iterable[str],
    screens: Iterable[str],
    nics: Iterable[str],
    viommus: Iterable[str],
    has_uefi: bool,
    is_secure: bool,
) -> frozenset[str]:
    """Of a host that can do that, and what every x86 host with qemu can."""
    words = (
        (BUS, buses), (SCREEN, screens), (NIC, nics), (VIOMMU, viommus),
        (SOUND, ("sb16", "es1370", "ac97", "ich6", "ich9", "usb")), (USB, ("qemu-xhci", "nec-xhci")),
        (IMAGE_TYPE, ("qcow2", "raw", "iso")),
    )  # fmt: skip
    found = {named(prefix, word) for prefix, one in words for word in one} | {BIOS_FIRMWARE, PACKED}
    return frozenset(found | ({UEFI_FIRMWARE} if has_uefi else set()) | ({SECURE_BOOT} if is_secure else set()))
