"""Who may do what: the names and the defaults of Placement's policy reference."""

from __future__ import annotations

OPERATOR, SERVICE = "rule:admin_or_service", "rule:service"

RULES = {
    "placement:resource_providers:list": OPERATOR,
    "placement:resource_providers:create": OPERATOR,
    "placement:resource_providers:show": OPERATOR,
    "placement:resource_providers:update": OPERATOR,
    "placement:resource_providers:delete": OPERATOR,
    "placement:resource_providers:inventories:list": OPERATOR,
    "placement:resource_providers:inventories:create": OPERATOR,
    "placement:resource_providers:inventories:show": OPERATOR,
    "placement:resource_providers:inventories:update": OPERATOR,
    "placement:resource_providers:inventories:delete": OPERATOR,
    "placement:resource_providers:aggregates:list": OPERATOR,
    "placement:resource_providers:aggregates:update": OPERATOR,
    "placement:resource_providers:traits:list": OPERATOR,
    "placement:resource_providers:traits:update": OPERATOR,
    "placement:resource_providers:traits:delete": OPERATOR,
    "placement:resource_providers:allocations:list": OPERATOR,
    "placement:resource_providers:usages": OPERATOR,
    "placement:resource_classes:list": OPERATOR,
    "placement:resource_classes:create": OPERATOR,
    "placement:resource_classes:show": OPERATOR,
    "placement:resource_classes:update": OPERATOR,
    "placement:resource_classes:delete": OPERATOR,
    "placement:traits:list": OPERATOR,
    "placement:traits:show": OPERATOR,
    "placement:traits:update": OPERATOR,
    "placement:traits:delete": OPERATOR,
    "placement:allocations:manage": OPERATOR,
    "placement:allocations:list": OPERATOR,
    "placement:allocations:update": OPERATOR,
    "placement:allocations:delete": OPERATOR,
    "placement:allocation_candidates:list": OPERATOR,
    "placement:usages": "rule:admin_or_service or rule:project_reader",
    "placement:reshaper:reshape": SERVICE,
}
