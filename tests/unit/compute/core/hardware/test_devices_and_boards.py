"""What images and flavors may say of a guest's devices and board, and which refusals they get in Nova's words."""

from __future__ import annotations

from typing import Any

import pytest

from common.errors import InvalidInput
from services.compute.core.hardware import Hardware, boards, devices, hardware_of
from services.compute.core.hardware.boards import Tpm
from services.compute.core.hardware.settings import Setting

Said = dict[str, str]


def devices_of(properties: Said, extra_specs: Said | None = None) -> dict[str, Any]:
    """What differs from a guest that nothing was said about."""
    return hardware_of(properties, extra_specs or {}).devices.model_dump(exclude_defaults=True)


def board_of(properties: Said, extra_specs: Said | None = None) -> dict[str, Any]:
    return hardware_of(properties, extra_specs or {}).board.model_dump(exclude_defaults=True)


def test_nothing_said_is_the_usual_guest() -> None:
    assert hardware_of({}, {}) == Hardware()


def test_names_that_nobody_knows_may_hold_anything() -> None:
    assert hardware_of({"hw_nonsense": "x", "os_distro": "debian", "pileus": "1"}, {"my:own": "x"}) == Hardware()


@pytest.mark.parametrize(
    ("properties", "extra_specs", "found"),
    [
        ({"hw_disk_bus": "scsi", "hw_scsi_model": "LSILogicSAS"}, {}, {"disk_bus": "scsi", "scsi_model": "lsisas1068"}),
        ({"vmware_adaptertype": "ide"}, {}, {"disk_bus": "ide"}),
        ({"vmware_adaptertype": "lsiLogic"}, {}, {"disk_bus": "scsi", "scsi_model": "lsilogic"}),
        ({"vmware_adaptertype": "ide", "hw_disk_bus": "virtio"}, {}, {"disk_bus": "virtio"}),
        ({"hw_cdrom_bus": "sata"}, {}, {"cdrom_bus": "sata"}),
        ({"hw_rescue_bus": "usb", "hw_rescue_device": "cdrom"}, {}, {"rescue_bus": "usb", "rescue_device": "cdrom"}),
        ({"hw_vif_model": "VirtualE1000"}, {}, {"nic": "e1000"}),
        ({"hw_video_model": "qxl", "hw_video_ram": "16"}, {"hw_video:ram_max_mb": "64"}, {"screen": "qxl", "screen_mib": 16}),
        ({"hw_rng_model": "virtio"}, {"hw_rng:allowed": "True"}, {}),
        ({}, {"hw_rng:allowed": "no"}, {"has_rng": False}),
        ({}, {"hw_rng:rate_bytes": "8", "hw_rng:rate_period": "50"}, {"rng_bytes": 8, "rng_period_ms": 50}),
        ({}, {"hw:watchdog_action": "poweroff"}, {"watchdog": "poweroff"}),
        ({"hw_watchdog_action": "reset"}, {"hw:watchdog_action": "poweroff"}, {"watchdog": "reset"}),
        ({"hw_watchdog_action": "disabled"}, {"hw:watchdog_action": "poweroff"}, {}),
        ({"hw_pointer_model": "usbtablet", "hw_input_bus": "usb"}, {}, {"pointer": "usbtablet", "input_bus": "usb"}),
        ({"hw_serial_port_count": "2"}, {"hw:serial_port_count": "4"}, {"serial_ports": 2}),
        ({"hw_serial_port_count": "3"}, {}, {"serial_ports": 3}),
        ({}, {"hw:serial_port_count": "0"}, {}),
        ({"hw_sound_model": "ich9"}, {"hw:sound_model": "ich9"}, {"sound": "ich9"}),
        ({"hw_usb_model": "qemu-xhci"}, {"hw:redirected_usb_ports": "2"}, {"usb": "qemu-xhci", "usb_ports": 2}),
        ({"hw_virtio_packed_ring": "YES"}, {}, {"has_packed_ring": True}),
    ],
)  # fmt: skip
def test_devices_are_as_image_and_flavor_say(properties: Said, extra_specs: Said, found: Said) -> None:
    assert devices_of(properties, extra_specs) == found


@pytest.mark.parametrize(
    ("properties", "extra_specs", "found"),
    [
        ({"hw_machine_type": "pc"}, {}, {"machine_type": "pc", "family": "pc"}),
        ({"hw_machine_type": "pc-q35-7.2"}, {}, {"machine_type": "pc-q35-7.2"}),
        ({"hw_disk_bus": "ide"}, {}, {"family": "pc"}),
        ({"hw_cdrom_bus": "ide"}, {}, {"family": "pc"}),
        ({"hw_firmware_type": "uefi"}, {}, {"firmware": "uefi"}),
        ({"hw_firmware_type": "uefi", "os_secure_boot": "required"}, {}, {"firmware": "uefi", "secure_boot": "required"}),
        ({"hw_firmware_type": "uefi"}, {"os:secure_boot": "required"}, {"firmware": "uefi", "secure_boot": "required"}),
        ({"hw_firmware_type": "bios"}, {"os:secure_boot": "required"}, {}),
        ({"hw_firmware_type": "uefi", "hw_machine_type": "pc", "os_secure_boot": "optional"}, {},
         {"firmware": "uefi", "machine_type": "pc", "family": "pc"}),
        ({"hw_firmware_type": "uefi", "hw_firmware_stateless": "true"}, {}, {"firmware": "uefi", "is_stateless": True}),
        ({"hw_firmware_stateless": "true"}, {}, {}),
        ({"hw_boot_menu": "no"}, {"hw:boot_menu": "yes"}, {}),
        ({}, {"hw:boot_menu": "yes"}, {"has_boot_menu": True}),
        ({"hw_time_hpet": "true", "os_type": "Windows"}, {}, {"has_hpet": True, "os_type": "windows"}),
        ({"img_hide_hypervisor_id": "true"}, {}, {"is_hidden": True}),
        ({}, {"hide_hypervisor_id": "true"}, {"is_hidden": True}),
        ({}, {"hw:hide_hypervisor_id": "true"}, {"is_hidden": True}),
        ({"hw_tpm_version": "2.0", "hw_tpm_model": "tpm-crb"}, {"hw:tpm_version": "2.0"},
         {"tpm": Tpm(version="2.0", model="tpm-crb", secret="user").model_dump()}),
        ({"hw_viommu_model": "virtio"}, {"hw:viommu_model": "intel"}, {"viommu": "intel"}),
        ({"hw_mem_encryption": "true", "hw_firmware_type": "uefi"}, {}, {"firmware": "uefi", "encryption": "amd-sev"}),
    ],
)  # fmt: skip
def test_the_board_is_as_image_and_flavor_say(properties: Said, extra_specs: Said, found: Said) -> None:
    assert board_of(properties, extra_specs) == found


@pytest.mark.parametrize(
    ("properties", "extra_specs", "why"),
    [
        ({"hw_disk_bus": "floppy"}, {}, r"^Invalid image metadata. Error: Field value floppy is invalid"),
        ({"hw_video_ram": "much"}, {}, r"^Invalid image metadata. Error: invalid literal for int\(\) with base 10: 'much'"),
        ({"hw_disk_bus": "fdc"}, {}, "'fdc' is not supported"),
        ({"hw_cdrom_bus": "virtio"}, {}, "'virtio' is not supported"),
        ({"hw_video_ram": "16"}, {}, "amount of video memory 16 is higher than the maximum allowed by flavor 0"),
        ({"hw_serial_port_count": "3"}, {"hw:serial_port_count": "2"}, "Forbidden to exceed flavor value of number of serial"),
        ({}, {"hw:serial_port_count": "5"}, "Maximum number of serial port exceeds 4"),
        ({}, {"hw:watchdog_action": "explode"}, "^Validation failed; 'explode' is not one of"),
        ({"hw_sound_model": "ac97"}, {"hw:sound_model": "ich9"}, "hw:sound_model extra spec explicitly set to ich9, conflicting"),
        ({"os_secure_boot": "disabled"}, {"os:secure_boot": "required"}, "Flavor big has os:secure_boot .* image small which"),
        ({"hw_tpm_version": "1.2", "hw_tpm_model": "tpm-crb"}, {}, "TPM model CRB is only valid with TPM version 2.0."),
        ({"hw_machine_type": "microvm"}, {}, "Machine type 'microvm' is not compatible with image small"),
        ({"hw_machine_type": "q35", "hw_disk_bus": "ide"}, {}, "Machine type 'q35' .* it has no IDE"),
        ({"hw_machine_type": "pc", "hw_firmware_type": "uefi", "os_secure_boot": "required"}, {}, "Secure Boot is not supported"),
        ({"hw_machine_type": "pc", "hw_viommu_model": "intel"}, {}, "vIOMMU is not supported by machine type 'pc'"),
        ({"hw_mem_encryption": "true"}, {}, "hw_firmware_type 'uefi', not 'bios'"),
        ({"hw_redirected_usb_ports": "16"}, {}, "0 to 15"),
        ({"hw_serial_port_count": "9" * 10_000}, {}, "Maximum number|invalid literal"),
    ],
)  # fmt: skip
def test_what_can_not_be_is_refused_in_novas_words(properties: Said, extra_specs: Said, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        hardware_of(properties, extra_specs, image_name="small", flavor_name="big")


@pytest.mark.parametrize("setting", devices.SETTINGS + boards.SETTINGS, ids=lambda one: one.image or one.flavor)
def test_no_setting_takes_a_word_that_is_none_of_its_own(setting: Setting[object]) -> None:
    """Flags take any word as no, and machine types are looked at as what they are."""
    if setting.values.told in ("yes, no", "text"):
        return
    if setting.image is not None:
        with pytest.raises(InvalidInput):
            hardware_of({setting.image: "\u00df nonsense"}, {})
    if setting.flavor is not None:
        with pytest.raises(InvalidInput):
            hardware_of({}, {setting.flavor: "\u00df nonsense"})
