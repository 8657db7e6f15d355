"""Taking an image out of use while somebody looks into it, and putting it back."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response

from common.auth.callers import Caller as Who
from common.errors import Forbidden
from common.http.identity import Caller, authenticated
from common.http.operations import operation
from services.image.api.kit import ImageId, Kit, KitOf
from services.image.contract import ImageChanged
from services.image.core.images import WITH_BYTES, Status
from services.image.db.images import Images

router = APIRouter(dependencies=[Depends(authenticated)])  # before anything is looked at


@router.post("/v2/images/{image_id}/actions/deactivate", status_code=204)
@operation("deactivate")
def deactivate(image_id: ImageId, caller: Caller, kit: KitOf) -> Response:
    """Twice is once."""
    return _put("deactivate", Status.DEACTIVATED, image_id, caller, kit)


@router.post("/v2/images/{image_id}/actions/reactivate", status_code=204)
@operation("reactivate")
def reactivate(image_id: ImageId, caller: Caller, kit: KitOf) -> Response:
    """Twice is once."""
    return _put("reactivate", Status.ACTIVE, image_id, caller, kit)


def _put(action: str, status: Status, image_id: ImageId, caller: Who, kit: Kit) -> Response:
    with kit.database.transaction() as session:
        images = Images(session)
        image = images.locked(image_id, kit.viewer(caller))
        kit.must(action, caller, image)
        if image.status not in WITH_BYTES:
            raise Forbidden(f"Not allowed to {action} image in status '{image.status}'")
        if image.status is not status:
            images.put(image, status)
    kit.bus.tell(ImageChanged(image_id=image.id, project_id=image.attributes.owner))
    return Response(status_code=204)
