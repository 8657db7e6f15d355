"""What a password must be, how long it is good for, and when its owner may change it.  All of it is off unless it is set.

Words and rules: Keystone, "Security compliance and PCI-DSS".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from common.errors import InvalidInput

Options = Mapping[str, Any]
"""A user's own exceptions, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordRules:
    """Built from the settings; 0 and "" mean that a rule is off."""

    pattern: str = ""
    description: str = ""  # what the pattern asks for, in words
    unique_last: int = 0  # the new one counts too
    minimum_age_days: int = 0
    expires_days: int = 0
    change_upon_first_use: bool = False

    def accept(self, password: str) -> None:
        """InvalidInput unless the password is as the pattern asks."""
        if self.pattern and not re.match(self.pattern, password):
            raise InvalidInput(f"The password does not match the requirements: {self.description}.")

    def expires_at(self, set_at: datetime, options: Options, *, by_owner: bool) -> datetime | None:
        """When a password set now stops being good for a log-in.  None: never"""
        if not by_owner and self.change_upon_first_use and not options.get("ignore_change_password_upon_first_use"):
            return set_at
        if not self.expires_days or options.get("ignore_password_expiry"):
            return None
        return (set_at + timedelta(days=self.expires_days)).replace(microsecond=0)

    def may_change(self, options: Options, *, set_at: datetime | None, set_by_owner: bool, now: datetime) -> None:
        """InvalidInput while the owner may not set another one."""
        if options.get("lock_password"):
            raise InvalidInput(
                "You cannot change your password at this time due to password policy disallowing password changes. "
                "Please contact your administrator to reset your password."
            )
        if not (set_by_owner and set_at and self.minimum_age_days):
            return
        left = set_at + timedelta(days=self.minimum_age_days) - now
        if left > timedelta(0):
            raise InvalidInput(
                "You cannot change your password at this time due to the minimum password age. Once you change your "
                f"password, it must be used for {self.minimum_age_days} day(s) before it can be changed. Please try "
                f"again in {left.days} day(s) or contact your administrator to reset your password."
            )

    def used_before(self) -> InvalidInput:
        return InvalidInput(
            "The new password cannot be identical to a previous password. The total number which includes the new "
            f"password must be unique is {self.unique_last}."
        )


def is_expired(expires_at: datetime | None, options: Options, now: datetime) -> bool:
    return expires_at is not None and now >= expires_at and not options.get("ignore_password_expiry")


def is_inactive(active_at: datetime | None, options: Options, now: datetime, *, after_days: int) -> bool:
    """Whether nobody logged in for so many days that the account counts as disabled; 0: it never does."""
    if not after_days or active_at is None or options.get("ignore_user_inactivity"):
        return False
    return (now.date() - active_at.date()).days >= after_days
