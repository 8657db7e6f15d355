"""What Compute's API once had and lost: 410 Gone, whatever is asked, as OpenStack answers."""

from __future__ import annotations

from fastapi import Response

from common.errors import PlatformError
from common.http.identity import Caller
from common.http.operations import operation
from services.compute.api.asking import router

routes = router()

# fmt: off
GONE: dict[str, str] = {  # path -> methods it had
    "/os-agents": "GET POST",                            "/os-agents/{item_id}": "PUT DELETE",
    "/os-cells": "GET POST",                             "/os-cells/{item_id}": "GET PUT DELETE",
    "/os-cells/capacities": "GET",                       "/os-cells/detail": "GET",
    "/os-cells/info": "GET",                             "/os-cells/sync_instances": "POST",
    "/os-cells/{item_id}/capacities": "GET",
    "/os-certificates": "POST",                          "/os-certificates/{item_id}": "GET",
    "/os-cloudpipe": "GET POST",                         "/os-cloudpipe/{item_id}": "PUT",
    "/os-fixed-ips/{item_id}": "GET",                    "/os-fixed-ips/{item_id}/action": "POST",
    "/os-floating-ip-dns": "GET",                        "/os-floating-ip-dns/{item_id}": "PUT DELETE",
    "/os-floating-ip-dns/{item_id}/entries/{part_id}": "GET PUT DELETE",
    "/os-floating-ips-bulk": "GET POST",                 "/os-floating-ips-bulk/{item_id}": "GET PUT",
    "/os-fping": "GET",                                  "/os-fping/{item_id}": "GET",
    "/os-networks": "POST",                              "/os-networks/add": "POST",
    "/os-networks/{item_id}": "DELETE",                  "/os-networks/{item_id}/action": "POST",
    "/os-security-group-default-rules": "GET POST",      "/os-security-group-default-rules/{item_id}": "GET DELETE",
    "/os-tenant-networks": "POST",                       "/os-tenant-networks/{item_id}": "DELETE",
    "/servers/{item_id}/consoles": "GET POST",           "/servers/{item_id}/consoles/{part_id}": "GET DELETE",
    "/servers/{item_id}/os-virtual-interfaces": "GET",
}
# fmt: on
GONE_ACTIONS = ("resetNetwork",)  # on servers


class Gone(PlatformError):
    """It was here, and does not come back."""

    status, code = 410, "gone"

    def __init__(self) -> None:
        super().__init__("This resource is no longer available.  No forwarding address is given.")


@operation()
def answer_gone(caller: Caller) -> Response:
    raise Gone


for _path, _methods in GONE.items():
    routes.add_api_route(_path, answer_gone, methods=_methods.split(), response_class=Response)
