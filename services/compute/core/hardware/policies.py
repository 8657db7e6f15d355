"""Whose a host's processors are: shared by all guests, or a guest's own.  Rules: Compute's guide, "CPU pinning"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from common.errors import InvalidInput
from services.compute.core.hardware.cpu_sets import cpus_of
from services.compute.core.hardware.settings import FLAG, TEXT, TRUE, Setting, words
from services.compute.core.hardware.sizes import Wanted

HYPERTHREADING = "HW_CPU_HYPERTHREADING"


class CpuPolicy(StrEnum):
    """Whether a vCPU floats over all that a host shares, or has a processor of the host for itself."""

    SHARED = "shared"
    DEDICATED = "dedicated"
    MIXED = "mixed"


class ThreadPolicy(StrEnum):
    """Whether dedicated processors should, must or must not be threads of one core."""

    PREFER = "prefer"
    REQUIRE = "require"
    ISOLATE = "isolate"


class EmulatorThreads(StrEnum):
    """Where what the hypervisor does beside the vCPUs runs: on the host's shared processors, or on one of the guest's own."""

    SHARE = "share"
    ISOLATE = "isolate"


# fmt: off
POLICY =   Setting("hw_cpu_policy", "hw:cpu_policy", words(*CpuPolicy),
                   "whether its processors are its own; an image may ask for it where its flavor says nothing")
THREADS =  Setting("hw_cpu_thread_policy", "hw:cpu_thread_policy", words(*ThreadPolicy),
                   "whether its own processors are threads of one core")
EMULATOR = Setting(None, "hw:emulator_threads_policy", words(*EmulatorThreads),
                   "where what is done for it beside its processors runs: with other guests' or on one more of its own")
MASK =     Setting(None, "hw:cpu_dedicated_mask", TEXT, "of policy `mixed`: which of its processors are its own, such as `^0`")
REALTIME = Setting(None, "hw:cpu_realtime", FLAG, "refused: no guest has real-time processors")
PMEM =     Setting(None, "hw:pmem", TEXT, "refused: no guest has persistent memory")
# fmt: on
SETTINGS: tuple[Setting[object], ...] = (POLICY, THREADS, EMULATOR, MASK, REALTIME, PMEM)


@dataclass(frozen=True, slots=True)
class Ownership:
    policy: CpuPolicy
    threads: ThreadPolicy | None
    emulator: EmulatorThreads | None
    dedicated: frozenset[int]  # the guest's processors that have one of the host for themselves


def ownership_of(wanted: Wanted) -> Ownership:
    """InvalidInput, as Compute says it."""
    policy, threads, emulator = _cpu_policy(wanted), _thread_policy(wanted), _emulator_threads(wanted)
    policy, threads = _by_resources(wanted, policy, emulator), _by_trait(wanted, threads)
    dedicated = _dedicated(wanted, policy, threads, emulator)
    return Ownership(policy or CpuPolicy.SHARED, threads, emulator, dedicated)


def _cpu_policy(wanted: Wanted) -> CpuPolicy | None:
    """An image may ask for more only where its flavor says nothing."""
    image = _choice(wanted, POLICY, CpuPolicy, "CPU policy requested from 'flavor extra specs' is invalid")
    flavor = wanted.spec(POLICY)
    if flavor is None:
        return CpuPolicy(image) if image else None
    forbidden = {CpuPolicy.MIXED: ("dedicated",), CpuPolicy.SHARED: ("mixed", "dedicated"), CpuPolicy.DEDICATED: ()}
    if image in forbidden[CpuPolicy(flavor)]:
        raise InvalidInput(
            "Image property 'hw_cpu_policy' is not permitted to override CPU pinning policy set against the flavor"
        )
    return CpuPolicy(flavor)


def _thread_policy(wanted: Wanted) -> ThreadPolicy | None:
    image = _choice(wanted, THREADS, ThreadPolicy, "CPU thread policy requested from 'flavor extra specs' is invalid")
    flavor = wanted.spec(THREADS)
    if flavor not in (None, "prefer") and image not in (None, flavor):
        raise InvalidInput(
            "Image property 'hw_cpu_thread_policy' is not permitted to override CPU thread pinning policy set against "
            "the flavor"
        )
    chosen = flavor or image
    return ThreadPolicy(chosen) if chosen else None


def _emulator_threads(wanted: Wanted) -> EmulatorThreads | None:
    value = wanted.spec(EMULATOR)
    if value is None:
        return None
    if value not in set(EmulatorThreads):
        raise InvalidInput(
            f"CPU emulator threads option requested is invalid, given: '{value[:64]}', available: "
            f"'{_all(EmulatorThreads)}'."
        )
    return EmulatorThreads(value)


def _choice(wanted: Wanted, setting: Setting[str], known: type[StrEnum], wrong: str) -> str | None:
    """What the image says; the flavor's word is looked at, too."""
    image, flavor = wanted.asked.image(setting), wanted.spec(setting)
    if flavor is not None and flavor not in set(known):
        raise InvalidInput(f"{wrong}, given: '{flavor[:64]}', available: '{_all(known)}'.")
    return image


def _all(known: type[StrEnum]) -> tuple[str, ...]:
    return tuple(str(word) for word in known)


def _by_resources(wanted: Wanted, policy: CpuPolicy | None, emulator: EmulatorThreads | None) -> CpuPolicy | None:
    """`resources:PCPU` is another way to say `dedicated`."""
    asked = {name: _resources(wanted, name) for name in ("VCPU", "PCPU")}
    if policy and any(asked.values()):
        raise InvalidInput(
            "It is not possible to use the 'resources:VCPU' or 'resources:PCPU' extra specs in combination with the "
            "'hw:cpu_policy' extra spec or 'hw_cpu_policy' image metadata property; use one or the other"
        )
    if all(asked.values()):
        raise InvalidInput(
            "It is not possible to specify both 'resources:VCPU' and 'resources:PCPU' extra specs; use one or the other"
        )
    if not asked["PCPU"]:
        return policy
    if emulator is EmulatorThreads.ISOLATE and asked["PCPU"] != wanted.vcpus + 1:
        raise InvalidInput(
            "You have requested 'hw:emulator_threads_policy=isolate' but have not requested sufficient PCPUs to handle "
            "this policy; you must allocate exactly flavor.vcpus + 1 PCPUs."
        )
    if emulator is not EmulatorThreads.ISOLATE and asked["PCPU"] != wanted.vcpus:
        raise InvalidInput(
            "There is a mismatch between the number of PCPUs requested via 'resourcesNN:PCPU' and the flavor); you must "
            "allocate exactly flavor.vcpus PCPUs"
        )
    return CpuPolicy.DEDICATED


def _resources(wanted: Wanted, name: str) -> int:
    form = re.compile(rf"resources([a-zA-Z0-9_-]{{1,64}})?:{name}")
    return sum(
        int(value) for key, value in wanted.asked.extra_specs.items() if form.fullmatch(key) and str(value).isdecimal()
    )


def _by_trait(wanted: Wanted, threads: ThreadPolicy | None) -> ThreadPolicy | None:
    said = [
        value for key, value in wanted.asked.extra_specs.items() if re.fullmatch(rf"trait[\w-]*:{HYPERTHREADING}", key)
    ]
    if not said and wanted.asked.properties.get(f"trait:{HYPERTHREADING}") == "required":
        said = ["required"]
    if said and threads:
        raise InvalidInput(
            "It is not possible to use the 'trait:HW_CPU_HYPERTHREADING' extra spec in combination with the "
            "'hw:cpu_thread_policy' extra spec or 'hw_cpu_thread_policy' image metadata property; use one or the other"
        )
    return {"forbidden": ThreadPolicy.ISOLATE, "required": ThreadPolicy.REQUIRE}.get(said[0]) if said else threads


def _dedicated(
    wanted: Wanted, policy: CpuPolicy | None, threads: ThreadPolicy | None, emulator: EmulatorThreads | None
) -> frozenset[int]:
    """The vCPUs that have a processor for themselves."""
    mask = _mask(wanted)
    _must_ask_for_what_there_is(wanted)
    if policy in (None, CpuPolicy.SHARED):
        _must_need_none(threads, emulator, mask)
        return frozenset()
    if policy is CpuPolicy.DEDICATED:
        if mask:
            raise InvalidInput("Cannot specify 'hw:cpu_dedicated_mask' without the 'mixed' policy.")
        return frozenset(range(wanted.vcpus))
    if not mask:
        raise InvalidInput(
            "Dedicated CPU set can be specified from either 'hw:cpu_dedicated_mask' or 'hw:cpu_realtime_mask' when using "
            "'mixed' CPU policy. 'hw:cpu_dedicated_mask' and 'hw:cpu_realtime_mask' can not be specified at the same "
            "time, or be specified with none of them."
        )
    return mask


def _must_need_none(threads: ThreadPolicy | None, emulator: EmulatorThreads | None, mask: frozenset[int]) -> None:
    """What means something for dedicated processors alone."""
    if threads:
        raise InvalidInput("Cannot set cpu thread pinning policy in a non dedicated cpu pinning policy")
    if emulator is EmulatorThreads.ISOLATE:
        raise InvalidInput("An isolated CPU emulator threads option requires a dedicated CPU policy option.")
    if mask:
        raise InvalidInput("Cannot specify 'hw:cpu_dedicated_mask' without the 'mixed' policy.")


def _mask(wanted: Wanted) -> frozenset[int]:
    given = wanted.spec(MASK)
    if given is None:
        return frozenset()
    every = frozenset(range(wanted.vcpus))
    mask = cpus_of(f"0-{wanted.vcpus - 1},{given}" if given.strip().startswith("^") else given)
    if not mask or not every - mask:
        raise InvalidInput(
            "Mixed instance must have at least 1 pinned vCPU and 1 unpinned vCPU. See 'hw:cpu_dedicated_mask'."
        )
    if not mask <= every:
        raise InvalidInput(
            'Mixed instance dedicated vCPU(s) mask is not a subset of vCPUs in the flavor. See "hw:cpu_dedicated_mask"'
        )
    return mask


def _must_ask_for_what_there_is(wanted: Wanted) -> None:
    if (wanted.spec(REALTIME) or "").strip().lower() in TRUE:
        raise InvalidInput("Real-time processors (hw:cpu_realtime) are not available in this cloud.")
    if wanted.spec(PMEM):
        raise InvalidInput("Persistent memory (hw:pmem) is not available in this cloud.")
