"""What placement's clients must be able to tell apart.  Words: Placement API reference, "Error codes"."""

from __future__ import annotations

from common.errors import Conflict, InvalidInput


class InventoryInUse(Conflict):
    """Somebody holds a part of what is to go."""

    code = "placement.inventory.inuse"


class DuplicateName(Conflict):
    """Another provider has this name or id."""

    code = "placement.duplicate_name"


class ProviderInUse(Conflict):
    """Somebody holds a part of the provider that is to go."""

    code = "placement.resource_provider.inuse"


class ProviderHasChildren(Conflict):
    """The provider that is to go is another's parent."""

    code = "placement.resource_provider.cannot_delete_parent"


class ProviderUnknown(InvalidInput):
    """A body names a provider that there is not."""

    code = "placement.resource_provider.not_found"


class TwiceGiven(InvalidInput):
    """A query parameter that may be there once only."""

    code = "placement.query.duplicate_key"


class BadValue(InvalidInput):
    """A query parameter contradicts another one."""

    code = "placement.query.bad_value"


class MissingValue(InvalidInput):
    """A query parameter without which the others mean nothing."""

    code = "placement.query.missing_value"
