"""The checks that the rules of several nouns are made of; each noun declares its own rules beside its routes.

OpenStack's names and its defaults for readers of their own things, domains and the system ("secure RBAC").

What a domain's manager may change is guarded by `rule:manager_above`, asked with `{"domain_id": …}` of the thing (of a new one:
where it would be put).  Where a role is given or taken, `rule:domain_managed_target_role` comes with it, asked with
`target.role.name`: see `grants.py`.
"""

from __future__ import annotations

# fmt: off
SHARED = {
    "cloud_reader":    "role:admin or (role:reader and system_scope:all)",
    "domain_reader":   "role:reader and domain_id:%(domain_id)s",
    "domain_manager":  "role:manager and domain_id:%(domain_id)s",
    "owner":           "user_id:%(user_id)s",
    "reader_above":    "rule:cloud_reader or rule:domain_reader",
    "manager_above":   "rule:admin or rule:domain_manager",
    # what a domain's manager may give and take; nothing that is more than itself
    "domain_managed_target_role":
        "'manager':%(target.role.name)s or 'member':%(target.role.name)s or 'reader':%(target.role.name)s",
}
# fmt: on
