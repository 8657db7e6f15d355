"""How much of a host's time and traffic a guest may use: a flavor's `quota:*`.

Names and ranges: Compute's guide, "Flavors, resource limits"; libvirt, "CPU tuning" and "Block I/O tuning".
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from services.compute.core.hardware.settings import Asked, Setting, number
from services.compute.core.hardware.sizes import bad_spec

WAYS, UNITS = ("read", "write", "total"), ("bytes", "iops")
LARGEST = 10**15  # of what a disk or an interface may be given
LEAST_QUOTA_US, MOST_QUOTA_US = 1_000, 17_592_186_044_415

# fmt: off
SHARES = Setting(None, "quota:cpu_shares", number(2, 262_144), "weight of its processors' time against that of other guests")
PERIOD = Setting(None, "quota:cpu_period", number(1_000, 1_000_000), "microseconds of a period of `quota:cpu_quota`")
QUOTA =  Setting(None, "quota:cpu_quota", number(-MOST_QUOTA_US, MOST_QUOTA_US),
                 "microseconds that each processor may run in a period; 0 or less: no limit")
# fmt: on
DISK = {
    f"{way}_{unit}_sec{more}": Setting(None, f"quota:disk_{way}_{unit}_sec{more}", number(0, LARGEST), told)
    for way in WAYS
    for unit in UNITS
    for more, told in (
        ("", f"{unit} a second of each of its disks, {way}"),
        ("_max", "the same in bursts"),
        ("_max_length", "seconds that a burst may last"),
    )
}
VIF = {
    f"{way}_{kind}": Setting(None, f"quota:vif_{way}_{kind}", number(0, LARGEST), f"{way} traffic of each port, {kind}")
    for way in ("inbound", "outbound")
    for kind in ("average", "peak", "burst")
}
SETTINGS: tuple[Setting[object], ...] = (SHARES, PERIOD, QUOTA, *DISK.values(), *VIF.values())


class Limits(BaseModel):
    """None and empty: whatever the host can give."""

    model_config = ConfigDict(frozen=True)

    cpu_shares: int | None = None  # against the other guests' when processors are short
    cpu_period_us: int | None = None
    cpu_quota_us: int | None = None  # that each vCPU may run in a period; -1: as long as it likes
    disk: dict[str, int] = {}  # for each disk: "read_bytes_sec", as libvirt's iotune names it
    vif: dict[str, int] = {}  # for each port: "inbound_average" and so on, in kilobytes a second


def limits_of(asked: Asked) -> Limits:
    """InvalidInput for what no host could set."""
    disk = {name: value for name, setting in DISK.items() if (value := asked.flavor(setting))}
    _must_go_together(disk)
    return Limits(
        cpu_shares=asked.flavor(SHARES),
        cpu_period_us=asked.flavor(PERIOD),
        cpu_quota_us=_quota(asked.flavor(QUOTA)),
        disk=disk,
        vif={name: value for name, setting in VIF.items() if (value := asked.flavor(setting)) is not None},
    )


def _quota(value: int | None) -> int | None:
    if value is None:
        return None
    if value <= 0:
        return -1
    if value < LEAST_QUOTA_US:
        raise bad_spec(f"quota:cpu_quota is {value}; the least that a host can give is {LEAST_QUOTA_US} microseconds")
    return value


def _must_go_together(disk: Mapping[str, int]) -> None:
    """No hypervisor takes a total beside its parts, nor a peak without what it is the peak of."""
    for unit in UNITS:
        for end in ("sec", "sec_max"):
            if f"total_{unit}_{end}" in disk and {f"read_{unit}_{end}", f"write_{unit}_{end}"} & disk.keys():
                raise bad_spec(
                    f"quota:disk_total_{unit}_{end} and quota:disk_read_{unit}_{end} or quota:disk_write_{unit}_{end} "
                    "exclude each other"
                )
    for name in disk:
        needed = name.removesuffix("_length") if name.endswith("_length") else name.removesuffix("_max")
        if needed not in disk:
            raise bad_spec(f"quota:disk_{name} means nothing without quota:disk_{needed}")
