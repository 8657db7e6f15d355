"""Builds the agent of a host, or of many simulated ones, from its settings."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from common.bus.bus import Bus
from common.errors import InvalidInput
from common.periodic import Periodic
from common.process import Part, Surroundings
from services.compute.agent.boots import BootMark
from services.compute.agent.calls import handlers
from services.compute.agent.changes import Changes
from services.compute.agent.consoles import ConsoleDoor
from services.compute.agent.host import Host
from services.compute.agent.images import HostImages
from services.compute.agent.presence import Presence
from services.compute.contract import HOST_QUEUE
from services.compute.core.hardware.cpu_sets import cpus_of, text_of
from services.compute.core.hypervisors import Hypervisor
from services.compute.drivers.images import ImageCache
from services.compute.settings import AgentSettings
from services.identity.client import IdentityClient, ServiceToken
from services.image.client import ImageClient

GIB = 1 << 30
LOOKS_AT_ONCE = 8
SIMULATED_THREADS = 4


def build(surroundings: Surroundings) -> Part:
    """The agent.  InvalidInput if guests could not reach its storage; libvirt itself may come later."""
    settings = AgentSettings.read(surroundings.settings_file)
    settings.storage.mkdir(mode=0o711, parents=True, exist_ok=True)
    images, consoles = _images(surroundings, settings), ConsoleDoor(settings.console_listen, shown=settings.address)
    hosts = [
        Host(name, driver, images, consoles=consoles) for name, driver in _hypervisors(surroundings, settings).items()
    ]
    return assemble(hosts, surroundings.bus, settings)


def assemble(hosts: Sequence[Host], bus: Bus, settings: AgentSettings) -> Part:
    """The running parts around hosts that are built."""
    changes = Changes(bus)
    standing = [
        Presence(host, bus, BootMark(settings.storage / f"{host.name}.boot"), changes, settings.reconcile_s)
        for host in hosts
    ]
    lookers = ThreadPoolExecutor(min(LOOKS_AT_ONCE, len(hosts)), thread_name_prefix="host-look")
    looks = Periodic("hosts", lambda: list(lookers.map(lambda one: one.look(), standing)), every_s=settings.heartbeat_s)

    def serve() -> None:
        for host in hosts:
            changes.watch(host)
            threads = settings.threads if len(hosts) == 1 else SIMULATED_THREADS
            bus.serve(f"{HOST_QUEUE}.{host.name}", handlers.bound(host), threads=threads)

    def close() -> None:
        lookers.shutdown(wait=False, cancel_futures=True)
        for host in hosts:
            host.close()
            host.consoles.close()

    return Part(name="agent", starts=(changes.start, serve, looks.start), stops=(looks.stop, changes.stop, close))


# ---------------------------------------------------------------- what it is made of


def _hypervisors(surroundings: Surroundings, settings: AgentSettings) -> dict[str, Hypervisor]:
    """By the names of their hosts."""
    if settings.driver == "libvirt":
        return {settings.host: _libvirt(surroundings, settings)}
    names = [f"{settings.simulated_prefix}{number + 1}" for number in range(settings.simulated_hosts)]
    return {name: _simulated(name, settings) for name in names}


def _libvirt(surroundings: Surroundings, settings: AgentSettings) -> Hypervisor:
    from services.compute.drivers.libvirt import LibvirtHypervisor, LibvirtOptions  # only hosts that use it have it

    dedicated, shared = _processors(settings)
    options = LibvirtOptions(
        uri=settings.libvirt_uri,
        host=settings.host,
        address=settings.address,
        cloud_id=surroundings.platform.cloud_id,
        storage=settings.storage,
        virt_type=settings.virt_type,
        screens=settings.screens,
        memory_reserved_mib=settings.memory_reserved_mib,
        config_drive_format=settings.config_drive_format,
        cpu_mode=settings.cpu_mode,
        cpu_models=tuple(settings.cpu_models),
        cpu_flags=tuple(flag.lower() for flag in settings.cpu_model_extra_flags),
        dedicated_cpus=dedicated,
        shared_cpus=shared,
    )
    return LibvirtHypervisor(options)


def _processors(settings: AgentSettings) -> tuple[frozenset[int], frozenset[int] | None]:
    """Dedicated and shared ones.  InvalidInput for what is no set, or if one is both"""
    dedicated = cpus_of(settings.cpu_dedicated_set or "")
    if settings.cpu_shared_set is None:
        return dedicated, frozenset() if dedicated else None
    shared = cpus_of(settings.cpu_shared_set)
    if both := dedicated & shared:
        raise InvalidInput(f"Processors {text_of(both)} are in both cpu_dedicated_set and cpu_shared_set")
    return dedicated, shared


def _simulated(name: str, settings: AgentSettings) -> Hypervisor:
    from services.compute.drivers.simulated import SimulatedHypervisor, SimulatedOptions

    options = SimulatedOptions(
        host=name,
        address=settings.address,
        vcpus=settings.simulated_vcpus,
        pcpus=settings.simulated_pcpus,
        memory_mib=settings.simulated_memory_mib,
        disk_gib=settings.simulated_disk_gib,
        memory_reserved_mib=settings.memory_reserved_mib,
        state_file=settings.storage / f"{name}.guests.json",
        copies=settings.storage / "copies",
    )
    return SimulatedHypervisor(options)


def _images(surroundings: Surroundings, settings: AgentSettings) -> HostImages:
    token = ServiceToken(
        IdentityClient(surroundings),
        username=settings.service_username,
        password=settings.service_password.get_secret_value(),
    )
    inside = surroundings.inside
    base_url = "http://image" if inside else surroundings.platform.image_url
    return HostImages(
        ImageCache(settings.storage / "images"),
        ImageClient(base_url, inside=inside, token=token),
        forget_token=token.forget,
        max_bytes=settings.image_cache_gib * GIB,
        oldest_s=settings.image_cache_idle_s,
    )
