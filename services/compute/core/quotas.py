"""How much a project may have.  Use is counted from rows in the transaction that adds to it, so it cannot drift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from common.errors import OverQuota

UNLIMITED = -1

# fmt: off
FIXED: dict[str, int] = {
    # what clients ask for and nobody here counts: -1, or the limit of a feature that is not built yet
    "fixed_ips": -1, "floating_ips": -1, "security_groups": -1, "security_group_rules": -1,
    "injected_files": 5, "injected_file_content_bytes": 10_240, "injected_file_path_bytes": 255,
    "server_groups": 10, "server_group_members": 10,
}
# fmt: on
COUNTED = ("instances", "cores", "ram")


@dataclass(frozen=True, slots=True)
class Amount:
    """Of servers: how many, their vCPUs, their memory in MiB."""

    instances: int = 0
    cores: int = 0
    ram: int = 0

    def times(self, count: int) -> Amount:
        return Amount(self.instances * count, self.cores * count, self.ram * count)


def must_fit(asked: Amount, used: Amount, most: Mapping[str, int]) -> None:
    """OverQuota with every resource that `asked` would exceed."""
    over = [name for name in COUNTED if not _fits(getattr(asked, name), getattr(used, name), most[name])]
    if not over:
        return
    over.sort()
    requested = ", ".join(str(getattr(asked, name)) for name in over)
    already = ", ".join(str(getattr(used, name)) for name in over)
    limits = ", ".join(str(most[name]) for name in over)
    names = ", ".join(over)
    raise OverQuota(
        f"Quota exceeded for {names}: Requested {requested}, but already used {already} of {limits} {names}"
    )


def fitting(least: int, most_wanted: int, one: Amount, used: Amount, most: Mapping[str, int]) -> int:
    """How many of between `least` and `most_wanted` servers the quota allows.  OverQuota if not even the fewest."""
    for count in range(most_wanted, least - 1, -1):
        asked = one.times(count)
        if all(_fits(getattr(asked, name), getattr(used, name), most[name]) for name in COUNTED):
            return count
    must_fit(one.times(least), used, most)
    raise AssertionError("must_fit lets pass what does not fit")


def _fits(asked: int, used: int, most: int) -> bool:
    return most == UNLIMITED or used + asked <= most
