"""What processors and memory a guest gets, from its flavor and its image.  Rules: Compute's guide, "CPU topologies"."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from common.errors import InvalidInput
from services.compute.core.hardware import numa, policies, topology
from services.compute.core.hardware.numa import Cell, cells_of, has_cells, page_size_of
from services.compute.core.hardware.policies import (
    HYPERTHREADING,
    CpuPolicy,
    EmulatorThreads,
    ThreadPolicy,
    ownership_of,
)
from services.compute.core.hardware.settings import FLAG, Asked, Setting, number, words
from services.compute.core.hardware.sizes import Wanted
from services.compute.core.hardware.topology import Topology, topology_of

SAYING = ("hw:", "hw_", "resources", "trait")
CPU_TRAIT = "HW_CPU_X86_"
ADDRESS_TRAITS = {"passthrough": "COMPUTE_ADDRESS_SPACE_PASSTHROUGH", "emulate": "COMPUTE_ADDRESS_SPACE_EMULATED"}
LEAST_BITS, MOST_BITS = 32, 64

# fmt: off
PMU =  Setting("hw_pmu", "hw:pmu", FLAG, "counters of its processors' performance; as the host has it if it is not said")
MODE = Setting("hw_maxphysaddr_mode", "hw:maxphysaddr_mode", words("passthrough", "emulate"),
               "how many bits its physical addresses have: as the host's, or")
BITS = Setting("hw_maxphysaddr_bits", "hw:maxphysaddr_bits", number(LEAST_BITS, MOST_BITS), "that many")
LOCKED = Setting("hw_locked_memory", "hw:locked_memory", FLAG, "the host never swaps its memory out; only with hw:mem_page_size")
QUEUES = Setting("hw_vif_multiqueue_enabled", "hw:vif_multiqueue_enabled", FLAG, "a queue of each port for each processor")
# fmt: on
SETTINGS: tuple[Setting[object], ...] = (
    *topology.PREFERRED,
    *topology.MOST,
    *policies.SETTINGS,
    *numa.SETTINGS,
    PMU,
    MODE,
    BITS,
    LOCKED,
    QUEUES,
)  # fmt: skip


class Processors(BaseModel):
    """The defaults are a guest that nothing was said about."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    topology: Topology | None = None  # None: every vCPU is a socket
    policy: CpuPolicy = CpuPolicy.SHARED
    threads: ThreadPolicy | None = None
    emulator: EmulatorThreads | None = None
    cells: tuple[Cell, ...] = ()  # none: the host's kernel puts it where it likes
    page_size: int | Literal["small", "large", "any"] | None = None  # KiB
    is_locked: bool = False  # its memory: never swapped out
    has_queues: bool = False  # of its ports, as many as processors
    pmu: bool | None = None  # None: as the hypervisor has it
    address_mode: Literal["passthrough", "emulate"] | None = None
    address_bits: int | None = None
    features: tuple[str, ...] = ()  # traits HW_CPU_X86_… that its processors must have

    @property
    def dedicated(self) -> int:
        """How many processors of a host it has for itself."""
        own = sum(len(cell.dedicated) for cell in self.cells)
        return own + (1 if own and self.emulator is EmulatorThreads.ISOLATE else 0)

    @property
    def shared(self) -> int | None:
        """How many vCPUs share processors; None: all that there are."""
        return sum(len(cell.shared) for cell in self.cells) if self.cells else None

    def traits(self) -> tuple[frozenset[str], frozenset[str]]:
        """Those that a host must have, and those that it must not have."""
        required = {ADDRESS_TRAITS[self.address_mode]} if self.address_mode else set()
        if self.threads is ThreadPolicy.REQUIRE:
            required.add(HYPERTHREADING)
        return frozenset(required), frozenset({HYPERTHREADING} if self.threads is ThreadPolicy.ISOLATE else ())


PLAIN = Processors()
"""For most guests, and each time that one is scheduled."""


def processors_of(asked: Asked, *, vcpus: int, memory_mib: int) -> Processors:
    """InvalidInput with what is wrong, as Compute says it."""
    if not any(name.startswith(SAYING) for said in (asked.extra_specs, asked.properties) for name in said):
        return PLAIN
    wanted = Wanted(asked, vcpus, memory_mib)
    own, page_size = ownership_of(wanted), page_size_of(wanted)
    has_own_cells = bool(own.dedicated) or page_size is not None or has_cells(wanted)
    mode, bits = _address(asked)
    arranged = topology_of(wanted)
    return Processors(
        topology=None if arranged == Topology(sockets=vcpus) else arranged,
        policy=own.policy,
        threads=own.threads,
        emulator=own.emulator,
        cells=cells_of(wanted, own.dedicated) if has_own_cells else (),
        page_size=page_size,
        is_locked=_is_locked(asked, has_pages=page_size is not None),
        has_queues=vcpus > 1 and bool(asked.agreed(QUEUES)),
        pmu=asked.agreed(PMU),
        address_mode=mode,
        address_bits=bits,
        features=_features(asked),
    )


def _is_locked(asked: Asked, *, has_pages: bool) -> bool:
    flavor, image = asked.flavor(LOCKED), asked.image(LOCKED)
    if flavor is not None and image is not None and flavor != image:
        raise InvalidInput(
            f"locked_memory value in image ({image}) and flavor ({flavor}) conflict. A consistent value is expected if both "
            "specified."
        )
    found = bool(image if flavor is None else flavor)
    if found and not has_pages:
        raise InvalidInput("locked_memory value in image or flavor is forbidden when mem_page_size is not set.")
    return found


def _features(asked: Asked) -> tuple[str, ...]:
    said = [name for one in (asked.extra_specs, asked.properties) for name, value in one.items() if value == "required"]
    prefix = f"trait:{CPU_TRAIT}"
    return tuple(sorted({name.removeprefix("trait:") for name in said if name.startswith(prefix)}))


def _address(asked: Asked) -> tuple[Literal["passthrough", "emulate"] | None, int | None]:
    """How many bits a guest's physical addresses have."""
    mode, bits = asked.agreed(MODE), asked.flavor_first(BITS)
    if mode is None:
        return None, None
    if mode == "emulate" and bits is None:
        raise InvalidInput("hw:maxphysaddr_mode 'emulate' says nothing without hw:maxphysaddr_bits.")
    return ("passthrough" if mode == "passthrough" else "emulate"), bits
