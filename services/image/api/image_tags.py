"""Tags of an image, one by one."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Depends, Response

from common.auth.callers import Caller as Who
from common.errors import NotFound
from common.http.identity import Caller, authenticated
from common.http.operations import operation
from services.image.api.kit import ImageId, Kit, KitOf
from services.image.api.schemas.images import attributes_of, body_of
from services.image.contract import ImageChanged
from services.image.core.images import Image
from services.image.db.images import Images

router = APIRouter(dependencies=[Depends(authenticated)])  # before anything is looked at


@router.put("/v2/images/{image_id}/tags/{tag}", status_code=204)
@operation("modify_image")
def add_tag(image_id: ImageId, tag: str, caller: Caller, kit: KitOf) -> Response:
    """Twice is once."""
    with kit.database.transaction() as session:
        images = Images(session)
        image = _changeable(images, image_id, caller, kit)
        body = body_of(image.attributes) | {"tags": [*image.attributes.tags, tag]}
        limits = kit.settings
        images.change(image, attributes_of(body, max_properties=limits.max_properties, max_tags=limits.max_tags))
    kit.bus.tell(ImageChanged(image_id=image.id, project_id=image.attributes.owner))
    return Response(status_code=204)


@router.delete("/v2/images/{image_id}/tags/{tag}", status_code=204)
@operation("modify_image")
def remove_tag(image_id: ImageId, tag: str, caller: Caller, kit: KitOf) -> Response:
    with kit.database.transaction() as session:
        images = Images(session)
        image = _changeable(images, image_id, caller, kit)
        left = tuple(one for one in image.attributes.tags if one != tag)
        if len(left) == len(image.attributes.tags):
            raise NotFound(f"Image {image.id} has no tag of that name")
        images.change(image, replace(image.attributes, tags=left))
    kit.bus.tell(ImageChanged(image_id=image.id, project_id=image.attributes.owner))
    return Response(status_code=204)


def _changeable(images: Images, image_id: ImageId, caller: Who, kit: Kit) -> Image:
    image = images.locked(image_id, kit.viewer(caller))
    kit.must("modify_image", caller, image)
    return image
