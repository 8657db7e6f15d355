"""Images: create, list, show, change, delete."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Request, Response

from common.auth.callers import Caller as Who
from common.errors import Forbidden, InvalidInput, Unsupported
from common.http.identity import Caller, authenticated
from common.http.json import Json, json_body
from common.http.operations import operation
from common.saga.store import Sagas
from services.image.api.kit import ImageId, Kit, KitOf
from services.image.api.resuming import forget
from services.image.api.schemas.images import SETTABLE, ImageBody, Patch, attributes_of, body_of, shown
from services.image.contract import ImageChanged, ImageCreated, ImageDeleted
from services.image.core.images import Attributes, Image, Status, Visibility
from services.image.core.listing import as_uuid, read_listing
from services.image.core.patches import MEDIA_TYPES, Operation, patched, read_patch, refuse_untouchable
from services.image.core.quotas import Quotas
from services.image.db.images import Images
from services.image.db.tables import SAGAS
from services.image.db.uploads import Uploads
from services.image.db.usage import Usage

router = APIRouter(dependencies=[Depends(authenticated)])  # before anything is looked at

Body = Annotated[Any, Depends(json_body)]

VISIBILITY_RULES = {Visibility.PUBLIC: "publicize_image", Visibility.COMMUNITY: "communitize_image"}


@router.post("/v2/images")
@operation("add_image", "publicize_image", "communitize_image", "get_image_location", takes=ImageBody)
def create_image(body: Body, caller: Caller, kit: KitOf) -> Response:
    """An image without bytes; the client may choose its id."""
    image_id, attributes = _asked(body, caller, kit)
    target = {"project_id": attributes.owner, "owner": attributes.owner}
    kit.policy.must("add_image", caller, target)
    _must_show_so(attributes.visibility, caller, kit, target)
    with kit.database.transaction() as session:
        Quotas.of(kit.settings).must_have_room_for_an_image(Usage(session).of(attributes.owner))
        image = Images(session).add(image_id, attributes)
    kit.bus.tell(ImageCreated(image_id=image.id, project_id=attributes.owner))
    headers = {"location": f"{kit.public_url}/v2/images/{image.id}", **_offers(kit)}
    return Json(_as_seen(image, caller, kit), 201, headers)


@router.get("/v2/images")
@operation("get_images", "get_image_location")
def list_images(request: Request, caller: Caller, kit: KitOf) -> Response:
    """One page; `next` leads to the following one, relative to the endpoint."""
    kit.policy.must("get_images", caller)
    query = request.query_params.multi_items()
    listing = read_listing(query)
    with kit.database.reading() as session:
        images = Images(session).page(listing, kit.viewer(caller))
    others = [(name, value) for name, value in query if name != "marker"]
    answer: dict[str, Any] = {
        "images": [_as_seen(image, caller, kit) for image in images],
        "first": _link(others),
        "schema": "/v2/schemas/images",
    }
    if images and len(images) == listing.limit:
        answer["next"] = _link([*others, ("marker", str(images[-1].id))])
    return Json(answer)


@router.get("/v2/images/{image_id}")
@operation("get_image", "get_image_location")
def show_image(image_id: ImageId, caller: Caller, kit: KitOf) -> Response:
    with kit.database.reading() as session:
        image = Images(session).seen(image_id, kit.viewer(caller))
    kit.must("get_image", caller, image)
    return Json(_as_seen(image, caller, kit))


async def _patch(request: Request) -> list[Operation]:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        raise Unsupported(
            f"The request media type {media_type[:80]} is not supported here. Send one of: {', '.join(MEDIA_TYPES)}"
        )
    return read_patch(await json_body(request), media_type)


@router.patch("/v2/images/{image_id}")
@operation("modify_image", "publicize_image", "communitize_image", "get_image_location", takes=Patch)
def change_image(
    image_id: ImageId, caller: Caller, kit: KitOf, operations: Annotated[list[Operation], Depends(_patch)]
) -> Response:
    """Apply a JSON patch: all of its operations or none."""
    with kit.database.transaction() as session:
        images = Images(session)
        image = images.locked(image_id, kit.viewer(caller))
        kit.must("modify_image", caller, image)
        wanted = _changed(image, operations, caller, kit)
        image = images.change(image, wanted)
    kit.bus.tell(ImageChanged(image_id=image.id, project_id=image.attributes.owner))
    return Json(_as_seen(image, caller, kit))


@router.delete("/v2/images/{image_id}", status_code=204)
@operation("delete_image")
def delete_image(image_id: ImageId, caller: Caller, kit: KitOf) -> Response:
    """The image and its bytes; an upload under way ends with an error."""
    with kit.database.transaction() as session:
        images = Images(session)
        image = images.locked(image_id, kit.viewer(caller))
        kit.must("delete_image", caller, image)
        if image.attributes.protected:
            raise Forbidden(f"Image {image.id} is protected and cannot be deleted.")
        Sagas(session, SAGAS).cancel(image.id)
        upload_id = Uploads(session).in_ranges(image.id)
        images.remove(image)
    kit.stores.remove(image.id, image.stores)
    if upload_id is not None:
        forget(kit, upload_id)
    if kit.cache is not None:
        kit.cache.remove(image.id)
    kit.bus.tell(ImageDeleted(image_id=image.id, project_id=image.attributes.owner))
    return Response(status_code=204)


def _offers(kit: Kit) -> dict[str, str]:
    """What clients look for before they send bytes."""
    methods = {"openstack-image-import-methods": ",".join(kit.settings.import_methods)}
    return {"openstack-image-store-ids": ",".join(kit.stores.ids)} | {
        name: text for name, text in methods.items() if text
    }


def _asked(body: Any, caller: Who, kit: Kit) -> tuple[UUID, Attributes]:
    """Id and attributes of the image that a create request wants."""
    if not isinstance(body, dict):
        raise InvalidInput("The request body must be a JSON object.")
    wanted = dict(body)
    chosen = wanted.pop("id", None)
    for name in wanted:
        refuse_untouchable(name)
    attributes = _attributes(wanted, kit)
    if "owner" not in wanted:
        attributes = replace(attributes, owner=caller.project_id)
    if attributes.owner != caller.project_id and not caller.is_admin:
        raise Forbidden(f"You are not permitted to create images owned by '{attributes.owner}'.")
    return _id(chosen), attributes


def _id(chosen: Any) -> UUID:
    if chosen is None:
        return uuid4()
    if not isinstance(chosen, str) or (found := as_uuid(chosen)) is None:
        raise InvalidInput(f"Invalid input for field/attribute id. Value: {str(chosen)[:80]}. It is not a 'uuid'")
    return found


def _changed(image: Image, operations: list[Operation], caller: Who, kit: Kit) -> Attributes:
    """The attributes after the patch.  Forbidden where the caller may not go that far"""
    before = image.attributes
    body = patched(body_of(before), operations, status=image.status, settable=SETTABLE)
    wanted = _attributes(body, kit)
    if wanted.owner != before.owner and not caller.is_admin:
        raise Forbidden("You are not permitted to change the owner of an image.")
    if wanted.visibility != before.visibility:
        _must_show_so(wanted.visibility, caller, kit, image.target())
    return wanted


def _attributes(body: dict[str, Any], kit: Kit) -> Attributes:
    return attributes_of(body, max_properties=kit.settings.max_properties, max_tags=kit.settings.max_tags)


def _must_show_so(visibility: Visibility, caller: Who, kit: Kit, target: dict[str, str | None]) -> None:
    if rule := VISIBILITY_RULES.get(visibility):
        kit.policy.must(rule, caller, target)


def _as_seen(image: Image, caller: Who, kit: Kit) -> dict[str, Any]:
    knows_place = image.status is Status.ACTIVE and kit.policy.allows("get_image_location", caller)
    nearest = kit.stores.nearest(image.stores) if knows_place else []
    place = kit.stores[nearest[0]].url(image.id) if nearest else None
    if kit.cache is not None and nearest and (path := kit.cache.local(image.id)) is not None:
        place = path.as_uri()
    return shown(replace(image, stores=kit.stores.ranked(image.stores)), location=place)


def _link(query: list[tuple[str, str]]) -> str:
    return f"/v2/images?{urlencode(query)}" if query else "/v2/images"
