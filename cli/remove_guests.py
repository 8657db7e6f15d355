"""Removes every guest that a cloud has on this host, with its disks and console logs, whether or not the cloud still knows it."""

from __future__ import annotations

from collections.abc import Iterator

from cli.places import Places
from common.settings import PlatformSettings
from services.compute.drivers.libvirt import LibvirtHypervisor, LibvirtOptions
from services.compute.settings import AgentSettings


def remove_guests(places: Places) -> Iterator[str]:
    """The id of each as it goes.  Only guests that carry this cloud's id are touched.  Unavailable without libvirt."""
    hypervisor = LibvirtHypervisor(_options(places))
    try:
        for server_id in {one.server_id for one in hypervisor.guests()} | hypervisor.leftovers():
            hypervisor.destroy(server_id)
            yield str(server_id)
        hypervisor.retire()
    finally:
        hypervisor.close()


def _options(places: Places) -> LibvirtOptions:
    agent = AgentSettings.read(places.settings)
    return LibvirtOptions(
        uri=agent.libvirt_uri,
        host=agent.host,
        address=agent.address,
        cloud_id=PlatformSettings.read(places.settings).cloud_id,
        storage=agent.storage,
    )
