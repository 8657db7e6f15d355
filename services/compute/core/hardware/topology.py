"""How a guest's processors are arranged: sockets, cores, threads.  Rules: Compute's guide, "CPU topologies"."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from common.errors import InvalidInput
from services.compute.core.hardware.settings import Setting, number
from services.compute.core.hardware.sizes import Wanted

PARTS = ("sockets", "cores", "threads")
UNLIMITED = 65_536
PREFERRED = tuple(
    Setting(
        f"hw_cpu_{part}", f"hw:cpu_{part}", number(most=UNLIMITED), f"how many {part} it should have; the image wins"
    )
    for part in PARTS
)
MOST = tuple(
    Setting(f"hw_cpu_max_{part}", f"hw:cpu_max_{part}", number(most=UNLIMITED),
            f"how many {part} it may have at most; an image may only lower it")
    for part in PARTS
)  # fmt: skip


class Topology(BaseModel):
    """Their product is the number of processors."""

    model_config = ConfigDict(frozen=True)

    sockets: int = 1
    cores: int = 1
    threads: int = 1


def topology_of(wanted: Wanted) -> Topology:
    """The one that comes nearest to what is preferred, of those that the limits allow.  InvalidInput"""
    most = _limits(wanted)
    preferred = _preferred(wanted, most)
    found = max(_possible(wanted.vcpus, most), key=lambda one: _likeness(one, preferred), default=None)
    if found is None:
        most = tuple(min(wanted.vcpus, limit) for limit in most)
        raise InvalidInput(
            f"Requested vCPU limits {most[0]}:{most[1]}:{most[2]} are impossible to satisfy for vcpus count {wanted.vcpus}"
        )
    return Topology(sockets=found[0], cores=found[1], threads=found[2])


def _limits(wanted: Wanted) -> tuple[int, ...]:
    """An image may only lower what its flavor allows."""
    both = [wanted.numbers(setting) for setting in MOST]
    if any(flavor and image > flavor for flavor, image in both):
        raise InvalidInput(
            f"Image vCPU topology limits ({_told([image for _, image in both])}) exceeds the limits of the flavor "
            f"({_told([flavor for flavor, _ in both])})"
        )
    return tuple(image or flavor or UNLIMITED for flavor, image in both)


def _preferred(wanted: Wanted, most: tuple[int, ...]) -> tuple[int, ...]:
    """An image that prefers anything does away with all that its flavor prefers, and so does a limit that is too low for it."""
    both = [wanted.numbers(setting) for setting in PREFERRED]
    flavor, image = (tuple(one[at] for one in both) for at in (0, 1))
    if any(value > limit for value, limit in zip(image, most, strict=True)):
        raise InvalidInput(
            f"Image vCPU topology ({_told(image)}) exceeds the limits of the flavor or image ({_told(most)})"
        )
    if any(image):
        return image
    return (0, 0, 0) if any(value > limit for value, limit in zip(flavor, most, strict=True)) else flavor


def _possible(vcpus: int, most: tuple[int, ...]) -> Iterator[tuple[int, int, int]]:
    """Best first: few threads, then many sockets."""
    divisors = [number for number in range(1, vcpus + 1) if vcpus % number == 0]
    found = [
        (sockets, cores, vcpus // sockets // cores)
        for sockets in divisors
        for cores in divisors
        if vcpus % (sockets * cores) == 0
    ]
    allowed = [one for one in found if all(value <= limit for value, limit in zip(one, most, strict=True))]
    yield from sorted(allowed, key=lambda one: (one[0] * one[1], one[0]), reverse=True)


def _likeness(one: tuple[int, ...], preferred: tuple[int, ...]) -> int:
    return sum(want == has for want, has in zip(preferred, one, strict=True) if want)


def _told(values: tuple[int, ...] | list[int]) -> str:
    return ", ".join(f"{part}={value}" for part, value in zip(PARTS, values, strict=True))
