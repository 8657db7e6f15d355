"""What is asked of a guest's hardware is asked of hosts as traits, which explain a refusal and can be looked up."""

from __future__ import annotations

import os_traits  # type: ignore[import-untyped]
import pytest

from services.compute.core.filters import explain
from services.compute.core.hardware import NAMES, device_traits
from services.compute.core.hardware.devices import DISK_PREFIX, NICS, SCREENS
from services.compute.core.hardware.traits import offered
from services.compute.core.placement import Stock
from services.compute.core.scheduling import HostView, wish_of

UEFI = {"hw_firmware_type": "uefi"}


@pytest.mark.parametrize(
    ("properties", "extra_specs", "needed"),
    [
        ({}, {}, set()),
        ({"hw_qemu_guest_agent": "yes"}, {"hw:watchdog_action": "reset"}, set()),
        ({"hw_disk_bus": "scsi", "hw_cdrom_bus": "sata"}, {}, {"COMPUTE_STORAGE_BUS_SCSI", "COMPUTE_STORAGE_BUS_SATA"}),
        ({"hw_video_model": "qxl", "hw_vif_model": "e1000"}, {}, {"COMPUTE_GRAPHICS_MODEL_QXL", "COMPUTE_NET_VIF_MODEL_E1000"}),
        ({"hw_vif_model": "ne2k_pci"}, {}, {"COMPUTE_NET_VIF_MODEL_NE2K_PCI"}),
        (UEFI, {}, {"COMPUTE_FIRMWARE_UEFI"}),
        (UEFI | {"os_secure_boot": "optional"}, {}, {"COMPUTE_FIRMWARE_UEFI"}),
        (UEFI, {"os:secure_boot": "required"}, {"COMPUTE_FIRMWARE_UEFI", "COMPUTE_SECURITY_UEFI_SECURE_BOOT"}),
        (UEFI | {"hw_firmware_stateless": "yes"}, {}, {"COMPUTE_FIRMWARE_UEFI", "COMPUTE_SECURITY_STATELESS_FIRMWARE"}),
        ({"hw_viommu_model": "virtio"}, {}, {"COMPUTE_VIOMMU_MODEL_VIRTIO"}),
        ({"hw_sound_model": "ich9", "hw_usb_model": "nec-xhci"}, {}, {"COMPUTE_SOUND_MODEL_ICH9", "COMPUTE_USB_MODEL_NEC_XHCI"}),
        ({"hw_usb_model": "none"}, {}, set()),
        ({}, {"hw:virtio_packed_ring": "yes"}, {"COMPUTE_NET_VIRTIO_PACKED"}),
        ({}, {"hw:tpm_version": "2.0", "hw:tpm_model": "tpm-crb"},
         {"COMPUTE_SECURITY_TPM_2_0", "COMPUTE_SECURITY_TPM_CRB", "COMPUTE_SECURITY_TPM_SECRET_SECURITY_USER"}),
        ({}, {"hw:ephemeral_encryption": "yes"}, {"COMPUTE_EPHEMERAL_ENCRYPTION"}),
        ({"hw_ephemeral_encryption": "true", "hw_ephemeral_encryption_format": "luks"}, {},
         {"COMPUTE_EPHEMERAL_ENCRYPTION", "COMPUTE_EPHEMERAL_ENCRYPTION_LUKS"}),
        ({"hw_ephemeral_encryption": "maybe"}, {"hw:ephemeral_encryption_format": "luks"}, set()),
        (UEFI, {"hw:mem_encryption": "yes"}, {"COMPUTE_FIRMWARE_UEFI", "HW_CPU_X86_AMD_SEV"}),
    ],
)  # fmt: skip
def test_what_is_named_needs_a_trait(properties: dict[str, str], extra_specs: dict[str, str], needed: set[str]) -> None:
    assert device_traits(properties, extra_specs) == needed
    assert needed <= set(os_traits.get_traits())


def test_hosts_offer_traits_that_clients_know() -> None:
    every = offered(
        buses=DISK_PREFIX,
        screens=SCREENS,
        nics=NICS,
        viommus=("intel", "virtio", "auto"),
        has_uefi=True,
        is_secure=True,
    )

    assert every <= set(os_traits.get_traits())


def test_a_name_that_says_nothing_of_devices_costs_nothing() -> None:
    assert "hw_disk_bus" in NAMES and "hw:boot_menu" in NAMES and "os_distro" not in NAMES


def test_a_host_that_can_not_is_named_with_what_it_lacks() -> None:
    flavor = {"vcpus": 1, "memory_mib": 512, "root_gib": 1, "extra_specs": {"os:secure_boot": "required"}}
    wish = wish_of(flavor=flavor, image_properties=UEFI, wanted_zone=None, failed_hosts=())
    stock = {name: Stock(1000, 0, 1.0, 0, 1000, 1, 1) for name in ("VCPU", "MEMORY_MB", "DISK_GB")}
    host = HostView(name="old", zone="nova", stock=stock, traits=frozenset({"COMPUTE_FIRMWARE_UEFI"}))

    told = explain([host], wish).message

    assert "TraitsFilter removed 1: old (without the right traits)" in told
    assert "without requiring COMPUTE_SECURITY_UEFI_SECURE_BOOT" in told
