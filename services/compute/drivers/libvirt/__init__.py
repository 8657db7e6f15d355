"""Guests by way of libvirt, on qemu with or without KVM."""

from services.compute.drivers.libvirt.guests import LibvirtHypervisor
from services.compute.drivers.libvirt.options import LibvirtOptions
from services.compute.drivers.libvirt.storage import check_storage

__all__ = ["LibvirtHypervisor", "LibvirtOptions", "check_storage"]
