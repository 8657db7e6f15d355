"""Who may do what here: OpenStack's rule names and its defaults for readers of their own things, domains and the system."""

from __future__ import annotations

# fmt: off
RULES = {
    "cloud_reader":   "role:admin or (role:reader and system_scope:all)",
    "domain_reader":  "role:reader and domain_id:%(domain_id)s",
    "owner":          "user_id:%(user_id)s",
    "reader_above":   "rule:cloud_reader or rule:domain_reader",

    "identity:validate_token":      "rule:cloud_reader or rule:service or rule:owner",
    "identity:check_token":         "rule:cloud_reader or rule:service or rule:owner",
    "identity:revoke_token":        "rule:admin or rule:owner",
    "identity:list_revoke_events":  "rule:admin_or_service",

    "identity:get_domain":    "rule:reader_above",
    "identity:list_domains":  "rule:reader_above",

    "identity:get_project":          "rule:reader_above or project_id:%(project_id)s",
    "identity:list_projects":        "rule:reader_above",
    "identity:list_user_projects":   "rule:reader_above or rule:owner",
    "identity:create_project":       "rule:admin",
    "identity:delete_project":       "rule:admin",

    "identity:get_user":     "rule:reader_above or rule:owner",
    "identity:list_users":   "rule:reader_above",
    "identity:create_user":  "rule:admin",
    "identity:delete_user":  "rule:admin",

    "identity:get_group":    "rule:reader_above",
    "identity:list_groups":  "rule:reader_above",

    "identity:get_role":    "rule:cloud_reader or (role:manager and domain_id:%(domain_id)s)",
    "identity:list_roles":  "rule:cloud_reader or (role:manager and domain_id:%(domain_id)s)",

    "identity:list_role_assignments": "rule:reader_above",
    "identity:check_grant":           "rule:reader_above",
    "identity:list_grants":           "rule:reader_above",
    "identity:create_grant":          "rule:admin",
    "identity:revoke_grant":          "rule:admin",
    "identity:list_system_grants_for_user":  "rule:cloud_reader",
    "identity:check_system_grant_for_user":  "rule:cloud_reader",
    "identity:create_system_grant_for_user": "rule:admin",
    "identity:revoke_system_grant_for_user": "rule:admin",

    "identity:get_service":     "rule:cloud_reader",
    "identity:list_services":   "rule:cloud_reader",
    "identity:get_endpoint":    "rule:cloud_reader",
    "identity:list_endpoints":  "rule:cloud_reader",
    "identity:get_region":      "rule:everybody",
    "identity:list_regions":    "rule:everybody",

    "identity:get_auth_catalog":   "rule:everybody",
    "identity:get_auth_projects":  "rule:everybody",
    "identity:get_auth_domains":   "rule:everybody",
    "identity:get_auth_system":    "rule:everybody",
}
# fmt: on
