"""Import: bring the bytes of an image from the staging area, the web, or another store of this site."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator
from sqlalchemy.orm import Session

from common.auth.callers import Caller as Who
from common.errors import Conflict, Forbidden, InvalidInput, NotFound
from common.http.identity import Caller, authenticated
from common.http.invalid import parsed
from common.http.json import Json, json_body
from common.http.operations import operation
from common.saga.store import Sagas
from services.image.api.kit import ImageId, Kit, KitOf
from services.image.api.schemas.images import Text
from services.image.api.schemas.tasks import shown
from services.image.core.images import Image, Status
from services.image.core.imports import COPY, FAILED, LEFT, METHODS, TASK, WEB, Wanted, admit, chosen_stores
from services.image.core.tasks import Task
from services.image.core.web_addresses import checked
from services.image.db.images import Images
from services.image.db.places import Places
from services.image.db.tables import SAGAS
from services.image.db.tasks import Tasks
from services.image.db.uploads import Uploads
from services.image.sagas.import_image import IMPORT_IMAGE, ImportImage

router = APIRouter(dependencies=[Depends(authenticated)])  # before anything is looked at

Body = Annotated[Any, Depends(json_body)]


class ImportMethod(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: Literal[METHODS]  # type: ignore[valid-type]
    uri: Text | None = None


class ImportBody(BaseModel):
    method: ImportMethod
    stores: list[Text] = []
    all_stores: StrictBool = False
    all_stores_must_succeed: StrictBool = True

    def wanted(self, header: str | None) -> Wanted:
        if header and self.stores:
            raise InvalidInput("Stores parameter and x-image-meta-store header can't be both specified")
        named = (header,) if header else tuple(self.stores)
        return Wanted(named, every=self.all_stores, must_all_succeed=self.all_stores_must_succeed)


class Hash(BaseModel):
    """Both or neither."""

    model_config = ConfigDict(extra="forbid")

    os_hash_algo: Literal["sha1", "sha256", "sha512", "md5"] | None = None
    os_hash_value: Annotated[Text, Field(max_length=128)] | None = None

    @model_validator(mode="after")
    def is_whole(self) -> Self:
        if (self.os_hash_algo is None) != (self.os_hash_value is None):
            raise ValueError("os_hash_algo and os_hash_value go together")
        return self


class Location(BaseModel):
    model_config = ConfigDict(extra="ignore")

    url: Text
    validation_data: Hash = Hash()


@router.post("/v2/images/{image_id}/import", status_code=202)
@operation("modify_image", "copy_image", takes=ImportBody)
def import_image(image_id: ImageId, request: Request, body: Body, caller: Caller, kit: KitOf) -> Response:
    """Answers at once; the image and its task tell how far it is."""
    asked = parsed(ImportBody, body)
    method = asked.method.name
    if method not in kit.settings.import_methods:
        raise InvalidInput(f"Unknown import method name '{method}'.")
    if method == WEB:
        checked(asked.method.uri or "", kit.settings.web_rules())
    wanted = asked.wanted(request.headers.get("x-image-meta-store"))
    with kit.database.transaction() as session:
        image = Images(session).locked(image_id, kit.viewer(caller))
        kit.must("copy_image" if method == COPY else "modify_image", caller, image)
        admit(image, method)
        stores = chosen_stores(wanted, image, method, known=kit.stores.ids, default=kit.stores.default_id)
        if stores:
            start(session, kit, caller, image, asked, stores)
        else:  # a client that waits for the copy's end sees it
            Images(session).note(image.id, {LEFT: "", FAILED: ""})
    return Response(status_code=202)


def start(
    session: Session,
    kit: Kit,
    caller: Who,
    image: Image,
    asked: ImportBody,
    stores: tuple[str, ...],
    *,
    kind: str = "api_image_import",
    told: dict[str, Any] | None = None,
) -> Task:
    """The task, and the saga that does it; the caller holds the image locked."""
    owner, user_id, method = image.attributes.owner, caller.user_id, asked.method.name
    request = {"image_id": str(image.id), "import_req": asked.model_dump(mode="json"), "backend": list(stores)}
    task = Tasks(session).add(kind, image.id, told or request, owner=owner, user_id=user_id)
    params = ImportImage(
        image_id=image.id,
        task_id=task.id,
        method=method,
        stores=stores,
        must_all_succeed=asked.all_stores_must_succeed,
        uri=asked.method.uri,
    )
    sagas = Sagas(session, SAGAS, hint=kit.nudge)
    saga_id = sagas.start(IMPORT_IMAGE, params, resource_id=image.id, project_id=owner, user_id=user_id)
    if method == WEB:
        Uploads(session).begin(image, saga_id, Status.IMPORTING)
    elif method != COPY:
        Images(session).put(image, Status.IMPORTING)
    Images(session).note(image.id, {TASK: str(task.id), LEFT: ",".join(stores), FAILED: ""})
    return task


@router.get("/v2/images/{image_id}/tasks")
@operation("get_image")
def list_tasks_of_image(image_id: ImageId, caller: Caller, kit: KitOf) -> Response:
    """Oldest first."""
    with kit.database.reading() as session:
        image = Images(session).seen(image_id, kit.viewer(caller))
        tasks = Tasks(session).of_image(image_id)
    kit.must("get_image", caller, image)
    return Json({"tasks": [shown(one) for one in tasks]})


@router.get("/v2/images/{image_id}/locations")
@operation("fetch_image_location")
def list_locations(image_id: ImageId, caller: Caller, kit: KitOf) -> Response:
    """Where the bytes are, for services alone."""
    with kit.database.reading() as session:
        image = Images(session).seen(image_id, kit.viewer(caller))
    kit.must("fetch_image_location", caller, image)
    places = ((name, kit.stores[name].url(image.id)) for name in image.stores)
    return Json([{"url": url, "metadata": {"store": name}} for name, url in places])


@router.post("/v2/images/{image_id}/locations", status_code=202)
@operation("add_image_location", takes=Location)
def add_location(image_id: ImageId, body: Body, caller: Caller, kit: KitOf) -> Response:
    """Nobody points an image at bytes that were not looked into: refused to all, as by Glance without its http store."""
    parsed(Location, body)
    with kit.database.reading() as session:
        image = Images(session).seen(image_id, kit.viewer(caller))
    kit.must("add_image_location", caller, image)
    if image.status is not Status.QUEUED:
        raise Conflict(f"It's not allowed to add locations if image status is {image.status}.")
    raise Forbidden("http store must be enabled to use location API by normal user.")


@router.delete("/v2/stores/{store_id}/{image_id}", status_code=204)
@operation("delete_image_location")
def delete_from_store(store_id: str, image_id: UUID, caller: Caller, kit: KitOf) -> Response:
    """The image stays in its other stores.  Forbidden for the last one"""
    with kit.database.transaction() as session:
        image = Images(session).locked(image_id, kit.viewer(caller))
        kit.must("delete_image_location", caller, image)
        if store_id not in image.stores:
            raise NotFound(f"Image {image_id} is not stored at {store_id[:80]}.")
        if len(image.stores) == 1:
            raise Forbidden("Cannot delete the last location of an image.")
        Places(session).remove(image.id, store_id)
    kit.stores.remove_from(store_id, image.id)
    return Response(status_code=204)
