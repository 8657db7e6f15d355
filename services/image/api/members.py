"""Sharing: whom the owner shows an image to, and whether they want it in their lists."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from common.auth.callers import Caller as Who
from common.errors import NotFound
from common.http.identity import Caller, authenticated
from common.http.invalid import parsed
from common.http.json import Json, json_body
from common.http.operations import operation
from services.image.api.kit import ImageId, Kit, KitOf
from services.image.api.schemas.images import LONGEST_NAME, Text, stamped
from services.image.contract import ImageChanged
from services.image.core.images import Image
from services.image.core.members import Answer, Member, must_be_shared
from services.image.db.images import Images
from services.image.db.members import Members

router = APIRouter(dependencies=[Depends(authenticated)])  # before anything is looked at

Body = Annotated[Any, Depends(json_body)]


class NewMember(BaseModel):
    member: Annotated[Text, Field(min_length=1, max_length=LONGEST_NAME)]


class MemberAnswer(BaseModel):
    status: Literal["pending", "accepted", "rejected"]


@router.post("/v2/images/{image_id}/members")
@operation("add_member", takes=NewMember)
def add_member(image_id: ImageId, body: Body, caller: Caller, kit: KitOf) -> Response:
    """Show the image to another project."""
    with kit.database.transaction() as session:
        image = Images(session).locked(image_id, kit.viewer(caller))
        must_be_shared(image)
        kit.must("add_member", caller, image)
        asked = parsed(NewMember, body)
        member = Members(session).add(image_id, asked.member, most=kit.settings.max_members)
    _tell(kit, image)
    return Json(shown(member))


@router.get("/v2/images/{image_id}/members")
@operation("get_members")
def list_members(image_id: ImageId, caller: Caller, kit: KitOf) -> Response:
    """All of them for the owner; a member sees itself."""
    with kit.database.reading() as session:
        image = Images(session).seen(image_id, kit.viewer(caller))
        must_be_shared(image)
        only = None if _sees_all_members(image, caller, kit) else caller.project_id
        members = Members(session).of(image_id, only=only)
    target = image.target() | {"member_id": caller.project_id if members else None}
    kit.policy.must("get_members", caller, target)
    return Json({"members": [shown(one) for one in members], "schema": "/v2/schemas/members"})


@router.get("/v2/images/{image_id}/members/{member_id}")
@operation("get_member")
def show_member(image_id: ImageId, member_id: str, caller: Caller, kit: KitOf) -> Response:
    with kit.database.reading() as session:
        image = Images(session).seen(image_id, kit.viewer(caller))
        must_be_shared(image)
        if member_id != caller.project_id and not _sees_all_members(image, caller, kit):
            raise NotFound(f"{member_id} not found in the member list of the image {image_id}.")
        member = Members(session).one(image_id, member_id)
    kit.policy.must("get_member", caller, image.target() | {"member_id": member_id})
    return Json(shown(member))


@router.put("/v2/images/{image_id}/members/{member_id}")
@operation("modify_member", takes=MemberAnswer)
def answer_as_member(image_id: ImageId, member_id: str, body: Body, caller: Caller, kit: KitOf) -> Response:
    """Accept or reject; only the member itself may."""
    asked = parsed(MemberAnswer, body)
    with kit.database.transaction() as session:
        image = Images(session).locked(image_id, kit.viewer(caller))
        must_be_shared(image)
        kit.policy.must("modify_member", caller, image.target() | {"member_id": member_id})
        member = Members(session).answer(image_id, member_id, Answer(asked.status))
    _tell(kit, image)
    return Json(shown(member))


@router.delete("/v2/images/{image_id}/members/{member_id}", status_code=204)
@operation("delete_member")
def remove_member(image_id: ImageId, member_id: str, caller: Caller, kit: KitOf) -> Response:
    with kit.database.transaction() as session:
        image = Images(session).locked(image_id, kit.viewer(caller))
        must_be_shared(image)
        kit.must("delete_member", caller, image)
        Members(session).one(image_id, member_id)
        Members(session).remove(image_id, member_id)
    _tell(kit, image)
    return Response(status_code=204)


def shown(member: Member) -> dict[str, Any]:
    return {
        "member_id": member.member_id,
        "image_id": str(member.image_id),
        "status": str(member.status),
        "created_at": stamped(member.created_at),
        "updated_at": stamped(member.updated_at),
        "schema": "/v2/schemas/member",
    }


def _sees_all_members(image: Image, caller: Who, kit: Kit) -> bool:
    return kit.viewer(caller).sees_all or image.attributes.owner == caller.project_id


def _tell(kit: Kit, image: Image) -> None:
    kit.bus.tell(ImageChanged(image_id=image.id, project_id=image.attributes.owner))
