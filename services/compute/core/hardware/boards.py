"""The board that a guest's devices are on: machine type, firmware, clocks, what it shows of the hypervisor, TPM."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict

from common.errors import InvalidInput
from services.compute.core.hardware.devices import Devices
from services.compute.core.hardware.settings import FLAG, TEXT, Asked, Setting, any_case, words

Q35, PC = "q35", "pc"
UEFI, BIOS = "uefi", "bios"
REQUIRED, OPTIONAL, DISABLED = "required", "optional", "disabled"
_MACHINE = re.compile(r"(?:pc|q35|pc-(?:q35|i440fx)-[a-z0-9.]{1,32})")

# fmt: off
MACHINE =     Setting("hw_machine_type", None, TEXT, "the board: `q35`, which is the default, `pc`, or a version of these")
FIRMWARE =    Setting("hw_firmware_type", None, words(BIOS, UEFI), "what starts the guest; BIOS if it is not said")
SECURE_BOOT = Setting("os_secure_boot", "os:secure_boot", words(REQUIRED, OPTIONAL, DISABLED),
                      "UEFI starts only what Microsoft's keys have signed; `optional`: if the host can do it")
STATELESS =   Setting("hw_firmware_stateless", None, FLAG, "UEFI forgets its variables")
BOOT_MENU =   Setting("hw_boot_menu", "hw:boot_menu", FLAG, "a menu of what to start from, on the console; the image wins")
HPET =        Setting("hw_time_hpet", None, FLAG, "a HPET clock")
OS_TYPE =     Setting("os_type", None, any_case("linux", "windows"), "`windows`: local time, and Hyper-V's interfaces")
HIDDEN =      Setting("img_hide_hypervisor_id", "hw:hide_hypervisor_id", FLAG, "hide from the guest that it is one")
HIDDEN_OLD =  Setting(None, "hide_hypervisor_id", FLAG, "an older name of the same")
TPM_VERSION = Setting("hw_tpm_version", "hw:tpm_version", words("1.2", "2.0"), "an emulated TPM")
TPM_MODEL =   Setting("hw_tpm_model", "hw:tpm_model", words("tpm-tis", "tpm-crb"), "its interface; `tpm-crb` is for 2.0")
TPM_SECRET =  Setting(None, "hw:tpm_secret_security", words("user", "host", "deployment"), "who keeps the key to its state")
VIOMMU =      Setting("hw_viommu_model", "hw:viommu_model", words("intel", "smmuv3", "virtio", "auto"),
                      "an IOMMU; the flavor wins")
ENCRYPTION =  Setting("hw_mem_encryption", "hw:mem_encryption", FLAG, "memory that the host can't read")
SEV =         Setting("hw_mem_encryption_model", "hw:mem_encryption_model", words("amd-sev", "amd-sev-es", "amd-sev-snp"),
                      "by which means")
DISK_SECRET = Setting("hw_ephemeral_encryption", "hw:ephemeral_encryption", FLAG, "disks that the host keeps encrypted")
DISK_FORMAT = Setting("hw_ephemeral_encryption_format", "hw:ephemeral_encryption_format", words("plain", "luks", "luksv2"),
                      "how they are encrypted")
# fmt: on

SETTINGS: tuple[Setting[object], ...] = (
    MACHINE, FIRMWARE, SECURE_BOOT, STATELESS, BOOT_MENU, HPET, OS_TYPE, HIDDEN, HIDDEN_OLD, TPM_VERSION, TPM_MODEL,
    TPM_SECRET, VIOMMU, ENCRYPTION, SEV, DISK_SECRET, DISK_FORMAT,
)  # fmt: skip


class Tpm(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    version: str
    model: str
    secret: str  # who keeps its key


class Board(BaseModel):
    """The defaults are a guest that nothing was said about."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    machine_type: str | None = None  # as asked
    family: str = Q35
    firmware: str = BIOS
    secure_boot: str = DISABLED
    is_stateless: bool = False
    has_boot_menu: bool = False
    has_hpet: bool = False
    os_type: str | None = None
    is_hidden: bool = False
    tpm: Tpm | None = None
    viommu: str | None = None
    encryption: str | None = None
    disk_encryption: str | None = None  # "": in any format


def board_of(asked: Asked, devices: Devices) -> Board:
    """InvalidInput"""
    asked.must_be_known(SETTINGS)
    machine_type, firmware = asked.image(MACHINE), asked.image(FIRMWARE) or BIOS
    family = _family(asked, machine_type, devices)
    menu = asked.image_first(BOOT_MENU)
    return Board(
        machine_type=machine_type,
        family=family,
        firmware=firmware,
        secure_boot=_secure_boot(asked, firmware, family),
        is_stateless=firmware == UEFI and bool(asked.image(STATELESS)),
        has_boot_menu=bool(menu),
        has_hpet=bool(asked.image(HPET)),
        os_type=asked.image(OS_TYPE),
        is_hidden=any((asked.image(HIDDEN), asked.flavor(HIDDEN), asked.flavor(HIDDEN_OLD))),
        tpm=_tpm(asked),
        viommu=_viommu(asked, family),
        encryption=_encryption(asked, firmware, family),
        disk_encryption=(asked.agreed(DISK_FORMAT) or "") if asked.agreed(DISK_SECRET) else None,
    )


def _family(asked: Asked, machine_type: str | None, devices: Devices) -> str:
    """The board that the buses need, where the image does not say which."""
    needs_ide = "ide" in (devices.disk_bus, devices.cdrom_bus)
    if machine_type is None:
        return PC if needs_ide else Q35
    if _MACHINE.fullmatch(machine_type) is None:
        raise _not_for(asked, machine_type, "it is none of an x86 host's boards, pc and q35")
    family = Q35 if Q35 in machine_type else PC
    if family == Q35 and needs_ide:
        raise _not_for(
            asked, machine_type, "it has no IDE; use hw_disk_bus and hw_cdrom_bus sata, or hw_machine_type pc"
        )
    return family


def _secure_boot(asked: Asked, firmware: str, family: str) -> str:
    """InvalidInput if it is required of a board that can't; without UEFI nobody asks for it, as in Nova."""
    found = asked.agreed(SECURE_BOOT) or DISABLED
    if found == REQUIRED and firmware == UEFI and family != Q35:
        raise InvalidInput("Secure Boot is not supported by machine type 'pc'; use hw_machine_type q35")
    if firmware != UEFI or family != Q35:
        return DISABLED
    return found


def _tpm(asked: Asked) -> Tpm | None:
    version, model = asked.agreed(TPM_VERSION), asked.agreed(TPM_MODEL) or "tpm-tis"
    if version is None:
        return None
    if model == "tpm-crb" and version != "2.0":
        raise InvalidInput("TPM model CRB is only valid with TPM version 2.0.")
    return Tpm(version=version, model=model, secret=asked.flavor(TPM_SECRET) or "user")


def _viommu(asked: Asked, family: str) -> str | None:
    found = asked.flavor_first(VIOMMU)
    if found is not None and family != Q35:
        raise InvalidInput(f"vIOMMU is not supported by machine type '{family}'; use hw_machine_type q35")
    return found


def _encryption(asked: Asked, firmware: str, family: str) -> str | None:
    if not asked.agreed(ENCRYPTION):
        return None
    if firmware != UEFI:
        raise InvalidInput(f"Memory encryption needs an image with property hw_firmware_type 'uefi', not '{firmware}'")
    if family != Q35:
        raise _not_for(asked, family, "q35 type is required for memory encryption")
    return asked.agreed(SEV) or "amd-sev"


def _not_for(asked: Asked, machine_type: str, reason: str) -> InvalidInput:
    return InvalidInput(f"Machine type '{machine_type[:64]}' is not compatible with image {asked.image_name}: {reason}")
