"""Who may do what: the names and the defaults of Compute's policy reference."""

from __future__ import annotations

from common.auth.policy import merged

ADMIN, ANYBODY = "rule:admin", "@"
READ, WRITE = "rule:project_reader_or_admin", "rule:project_member_or_admin"
OWN_USER = "rule:admin or user_id:%(user_id)s"


SERVERS = {
    f"os_compute_api:servers:{name}": check
    for name, check in {
        "index": READ,
        "index:get_all_tenants": ADMIN,
        "detail": READ,
        "detail:get_all_tenants": ADMIN,
        "allow_all_filters": ADMIN,
        "show": READ,
        "show:host_status": ADMIN,
        "show:flavor-extra-specs": READ,
        "create": WRITE,
        "create:forced_host": ADMIN,
        "create:attach_volume": WRITE,
        "create:attach_network": WRITE,
        "update": WRITE,
        "delete": WRITE,
        "start": WRITE,
        "stop": WRITE,
        "reboot": WRITE,
    }.items()
} | {"compute:servers:create:requested_destination": ADMIN}

RULES = merged(
    SERVERS,
    {
        "os_compute_api:os-extended-server-attributes": ADMIN,
        "os_compute_api:os-console-output": WRITE,
        "os_compute_api:server-metadata:index": READ,
        "os_compute_api:server-metadata:show": READ,
        "os_compute_api:server-metadata:create": WRITE,
        "os_compute_api:server-metadata:update": WRITE,
        "os_compute_api:server-metadata:update_all": WRITE,
        "os_compute_api:server-metadata:delete": WRITE,
        "os_compute_api:os-server-tags:index": READ,
        "os_compute_api:os-server-tags:show": READ,
        "os_compute_api:os-server-tags:update": WRITE,
        "os_compute_api:os-server-tags:update_all": WRITE,
        "os_compute_api:os-server-tags:delete": WRITE,
        "os_compute_api:os-server-tags:delete_all": WRITE,
        "os_compute_api:ips:index": READ,
        "os_compute_api:ips:show": READ,
        "os_compute_api:os-attach-interfaces:list": READ,
        "os_compute_api:os-volumes-attachments:index": READ,
        "os_compute_api:os-security-groups:list": READ,
        "os_compute_api:os-instance-actions:list": READ,
        "os_compute_api:os-instance-actions:show": READ,
        "os_compute_api:os-instance-actions:events": ADMIN,
        "os_compute_api:os-instance-actions:events:details": ADMIN,
    },
    {
        "os_compute_api:os-flavor-manage:create": ADMIN,
        "os_compute_api:os-flavor-manage:update": ADMIN,
        "os_compute_api:os-flavor-manage:delete": ADMIN,
        "os_compute_api:os-flavor-extra-specs:index": READ,
        "os_compute_api:os-flavor-extra-specs:show": READ,
        "os_compute_api:os-flavor-extra-specs:create": ADMIN,
        "os_compute_api:os-flavor-extra-specs:update": ADMIN,
        "os_compute_api:os-flavor-extra-specs:delete": ADMIN,
        "os_compute_api:os-flavor-access": ADMIN,
        "os_compute_api:os-flavor-access:add_tenant_access": ADMIN,
        "os_compute_api:os-flavor-access:remove_tenant_access": ADMIN,
        "os_compute_api:os-keypairs:index": OWN_USER,
        "os_compute_api:os-keypairs:show": OWN_USER,
        "os_compute_api:os-keypairs:create": OWN_USER,
        "os_compute_api:os-keypairs:delete": OWN_USER,
        "os_compute_api:os-services:list": ADMIN,
        "os_compute_api:os-services:update": ADMIN,
        "os_compute_api:os-services:delete": ADMIN,
        "os_compute_api:os-hypervisors:list": ADMIN,
        "os_compute_api:os-hypervisors:list-detail": ADMIN,
        "os_compute_api:os-hypervisors:show": ADMIN,
        "os_compute_api:os-hypervisors:statistics": ADMIN,
        "os_compute_api:os-hypervisors:uptime": ADMIN,
        "os_compute_api:os-hypervisors:search": ADMIN,
        "os_compute_api:os-hypervisors:servers": ADMIN,
        "os_compute_api:os-availability-zone:list": ANYBODY,
        "os_compute_api:os-availability-zone:detail": ADMIN,
        "os_compute_api:os-aggregates:index": ADMIN,
        "os_compute_api:limits": ANYBODY,
        "os_compute_api:limits:other_project": ADMIN,
        "os_compute_api:os-quota-sets:show": READ,
        "os_compute_api:os-quota-sets:detail": READ,
        "os_compute_api:os-quota-sets:defaults": ANYBODY,
        "os_compute_api:os-quota-sets:update": ADMIN,
        "os_compute_api:os-quota-sets:delete": ADMIN,
        "os_compute_api:os-quota-class-sets:show": ADMIN,
        "os_compute_api:os-quota-class-sets:update": ADMIN,
        "os_compute_api:os-simple-tenant-usage:show": READ,
        "os_compute_api:os-simple-tenant-usage:list": ADMIN,
        "os_compute_api:extensions": ANYBODY,
    },
)
