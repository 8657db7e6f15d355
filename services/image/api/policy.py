"""Who may do what to images.  Names and defaults: Glance's, as far as these operations exist."""

from __future__ import annotations

READERS = "rule:admin or rule:service or role:reader"

# fmt: off
RULES = {
    "get_image":           READERS,
    "get_images":          READERS,
    "download_image":      READERS,
    "add_image":           "rule:project_member_or_admin",
    "modify_image":        "rule:project_member_or_admin",
    "upload_image":        "rule:project_member_or_admin",
    "delete_image":        "rule:project_member_or_admin",
    "publicize_image":     "rule:admin",
    "communitize_image":   "rule:project_member_or_admin",
    "see_every_image":     "rule:admin or rule:service",
    "get_image_location":  "rule:service",
}
# fmt: on
