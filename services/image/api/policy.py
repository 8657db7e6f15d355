"""Who may do what to images.  Names and defaults: Glance's, as far as these operations exist."""

from __future__ import annotations

READERS = "rule:admin or rule:service or role:reader"
CATALOGUE = "rule:admin or role:reader"  # private namespaces are found by their owners alone
OWNERS = "rule:project_member_or_admin"
READERS_AND_MEMBERS = "rule:admin or role:reader and (project_id:%(project_id)s or project_id:%(member_id)s)"

# fmt: off
RULES = {
    "get_image":           READERS,
    "get_images":          "rule:admin or rule:service or rule:project_reader",
    "download_image":      "rule:admin or rule:service or role:member",
    "add_image":           "rule:project_member_or_admin",
    "modify_image":        "rule:project_member_or_admin",
    "upload_image":        "rule:project_member_or_admin or rule:snapshot_of_service",
    "delete_image":        "rule:project_member_or_admin or rule:snapshot_of_service",
    "snapshot_of_service": "rule:service and not None:%(instance_uuid)s",  # compute's own work, in nobody's name
    "publicize_image":     "rule:admin",
    "communitize_image":   "rule:project_member_or_admin",
    "add_member":          OWNERS,
    "get_member":          READERS_AND_MEMBERS,
    "get_members":         READERS_AND_MEMBERS,
    "modify_member":       "rule:admin or role:member and project_id:%(member_id)s",
    "delete_member":       OWNERS,
    "deactivate":          OWNERS,
    "reactivate":          OWNERS,
    "copy_image":          "rule:admin",
    "fetch_image_location": "rule:service",
    "add_image_location":  "rule:service or rule:project_member_or_admin",  # and then refused to all
    "cache_image":         "rule:admin",
    "cache_list":          "rule:admin",
    "cache_delete":        "rule:admin",
    "delete_image_location": "rule:admin",
    "stores_info_detail":  "rule:admin_or_service",
    "tasks_api_access":    "rule:admin",
    "get_tasks":           "rule:everybody",
    "get_task":            "rule:everybody",
    "add_task":            "rule:everybody",
    "get_metadef_namespace": CATALOGUE,
    "get_metadef_namespaces": "rule:project_reader_or_admin",
    "get_metadef_object": CATALOGUE,
    "get_metadef_objects": CATALOGUE,
    "list_metadef_resource_types": CATALOGUE,
    "get_metadef_resource_type": CATALOGUE,
    "get_metadef_property": CATALOGUE,
    "get_metadef_properties": CATALOGUE,
    "get_metadef_tag": CATALOGUE,
    "get_metadef_tags": CATALOGUE,
    "modify_metadef_namespace": "rule:metadef_admin",
    "add_metadef_namespace": "rule:metadef_admin",
    "delete_metadef_namespace": "rule:metadef_admin",
    "modify_metadef_object": "rule:metadef_admin",
    "add_metadef_object": "rule:metadef_admin",
    "delete_metadef_object": "rule:metadef_admin",
    "add_metadef_resource_type_association": "rule:metadef_admin",
    "remove_metadef_resource_type_association": "rule:metadef_admin",
    "modify_metadef_property": "rule:metadef_admin",
    "add_metadef_property": "rule:metadef_admin",
    "remove_metadef_property": "rule:metadef_admin",
    "modify_metadef_tag": "rule:metadef_admin",
    "add_metadef_tag": "rule:metadef_admin",
    "add_metadef_tags": "rule:metadef_admin",
    "delete_metadef_tag": "rule:metadef_admin",
    "delete_metadef_tags": "rule:metadef_admin",
    "metadef_admin":       "rule:admin",
    "see_every_image":     "rule:admin or rule:service",
    "get_image_location":  "rule:service",
}
# fmt: on
