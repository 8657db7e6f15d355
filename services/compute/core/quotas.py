"""How much a project may have.  Use is counted from rows in the transaction that adds to it, so it cannot drift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from common.errors import InvalidInput, OverQuota

UNLIMITED = -1

# fmt: off
FIXED: dict[str, int] = {
    # what clients ask for and nobody here counts: -1, or the limit of a feature that this API has lost
    "fixed_ips": -1, "floating_ips": -1, "security_groups": -1, "security_group_rules": -1,
    "injected_files": 5, "injected_file_content_bytes": 10_240, "injected_file_path_bytes": 255,
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


@dataclass(frozen=True, slots=True)
class Account:
    """What is used, of what may be."""

    used: Amount
    most: Mapping[str, int]  # resource -> limit

    def fits(self, asked: Amount) -> bool:
        return not self.exceeded(asked)

    def exceeded(self, asked: Amount) -> list[str]:
        """Resources, by name, of which there is not enough left.  What is not asked for may be over its limit."""
        return sorted(
            name
            for name in COUNTED
            if getattr(asked, name) and not is_within(getattr(self.used, name) + getattr(asked, name), self.most[name])
        )


def must_fit(asked: Amount, *accounts: Account) -> None:
    """OverQuota with every resource that `asked` would exceed, of the first account that it does not fit."""
    for account in accounts:
        if over := account.exceeded(asked):
            names = ", ".join(over)
            requested = ", ".join(str(getattr(asked, name)) for name in over)
            already = ", ".join(str(getattr(account.used, name)) for name in over)
            limits = ", ".join(str(account.most[name]) for name in over)
            raise OverQuota(
                f"Quota exceeded for {names}: Requested {requested}, but already used {already} of {limits} {names}"
            )


def fitting(least: int, most_wanted: int, one: Amount, *accounts: Account) -> int:
    """How many of between `least` and `most_wanted` servers the quotas allow.  OverQuota if not even the fewest."""
    for count in range(most_wanted, least - 1, -1):
        if all(account.fits(one.times(count)) for account in accounts):
            return count
    must_fit(one.times(least), *accounts)
    raise AssertionError("must_fit lets pass what does not fit")


def is_within(amount: int, most: int) -> bool:
    return most == UNLIMITED or amount <= most


def must_be_settable(given: Mapping[str, int], least: Mapping[str, int], most: Mapping[str, int]) -> None:
    """InvalidInput for a limit below what is used, or (a user's) above the project's."""
    for name, limit in given.items():
        minimum, maximum = least.get(name, 0), most.get(name, UNLIMITED)
        if not is_within(minimum, limit):
            raise InvalidInput(
                f"Quota limit {limit} for {name} must be greater than or equal to already used and reserved {minimum}."
            )
        if maximum != UNLIMITED and (limit == UNLIMITED or limit > maximum):
            raise InvalidInput(f"Quota limit {limit} for {name} must be less than or equal to {maximum}.")
