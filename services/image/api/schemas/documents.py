"""JSON schemas that clients ask for, besides those of images: members, tasks, metadata definitions.

Names and fields: Image API reference, v2, "Image schemas", "Metadata definition schemas".
"""

from __future__ import annotations

from typing import Any

from services.image.api.schemas.images import IMAGE_SCHEMA, IMAGES_SCHEMA, LONGEST_NAME, UUID_PATTERN

Schema = dict[str, Any]

READ = {"readOnly": True}
LONG = 500


def text(description: str, **more: Any) -> Schema:
    return {"type": "string", "description": description, **more}


def named(description: str, length: int = 80) -> Schema:
    return text(description, maxLength=length)


# fmt: off
STAMPS = {
    "created_at": text("When it was made", format="date-time", **READ),
    "updated_at": text("When it was last changed", format="date-time", **READ),
}
PLACE = {
    "self":   text("Path of this resource", **READ),
    "schema": text("Path of the schema that describes it", **READ),
}
MEMBER: Schema = {
    "member_id": text("Project that the image is shared with", **READ),
    "image_id":  text("The shared image", pattern=UUID_PATTERN, **READ),
    "status":    text("What the member says to it", enum=["pending", "accepted", "rejected"]),
    "schema":    text("Path of this schema", **READ),
    **STAMPS,
}
TASK: Schema = {
    "id":         text("Identifier of the task", pattern=UUID_PATTERN, **READ),
    "type":       text("What it does", enum=["import", "api_image_import"]),
    "status":     text("How far it is", enum=["pending", "processing", "success", "failure"], **READ),
    "input":      {"type": ["null", "object"], "description": "What it was asked to do"},
    "result":     {"type": ["null", "object"], "description": "What came of it", **READ},
    "owner":      text("Project that the task belongs to", **READ),
    "message":    text("Why it failed", **READ),
    "image_id":   text("The image that it works on", **READ),
    "request_id": text("The request that started it", **READ),
    "user_id":    text("The user who started it", **READ),
    "expires_at": text("When it will be forgotten", format="date-time", **READ),
    **STAMPS, **PLACE,
}
NUMBER, COUNT = {"type": "number"}, {"type": "integer", "minimum": 0}
PROPERTY: Schema = {
    "title":           text("Name for people", maxLength=80),
    "description":     text("What it is for"),
    "operators":       {"type": "array", "items": {"type": "string"}},
    "type":            text("Type of its value", enum=["array", "boolean", "integer", "number", "object", "string", None]),
    "required":        {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
    "minimum":         NUMBER, "maximum": NUMBER, "maxLength": COUNT, "minLength": COUNT,
    "pattern":         {"type": "string", "format": "regex"},
    "enum":            {"type": "array"},
    "readonly":        {"type": "boolean"},
    "default":         {},
    "items":           {"type": "object", "properties": {
        "type": text("Type of each item", enum=["array", "boolean", "integer", "number", "object", "string", None]),
        "enum": {"type": "array"}}},
    "maxItems":        COUNT, "minItems": COUNT,
    "uniqueItems":     {"type": "boolean"},
    "additionalItems": {"type": "boolean"},
}
ASSOCIATION: Schema = {
    "name":              named("Kind of resource, a name of Heat where there is one"),
    "prefix":            named("What is put before each property's name on such a resource"),
    "properties_target": named("Where the properties go on a resource that has several places for them"),
    **STAMPS,
}
OBJECT: Schema = {
    "name":        named("Name of the object"),
    "description": text("What it is for"),
    "required":    {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
    "properties":  {"type": "object", "additionalProperties": {"type": "object", "properties": PROPERTY}},
    **STAMPS, **PLACE,
}
TAG: Schema = {"name": named("The tag"), **STAMPS}
NAMESPACE: Schema = {
    "namespace":    named("Unique name of the namespace"),
    "display_name": named("Name for people"),
    "description":  named("What the namespace is for", LONG),
    "visibility":   text("Who may see it", enum=["public", "private"]),
    "protected":    {"type": "boolean", "description": "If true, it cannot be deleted"},
    "owner":        text("Project that owns it", maxLength=LONGEST_NAME),
    "resource_type_associations": {"type": "array", "items": {"type": "object", "properties": ASSOCIATION}},
    "properties":   {"type": "object", "additionalProperties": {"type": "object", "properties": PROPERTY}},
    "objects":      {"type": "array", "items": {"type": "object", "properties": OBJECT}},
    "tags":         {"type": "array", "items": {"type": "object", "properties": TAG}},
    **STAMPS, **PLACE,
}
# fmt: on


def _one(name: str, properties: Schema, *required: str, **more: Any) -> Schema:
    listed: Schema = {"required": list(required)} if required else {}
    return {"name": name, "properties": properties, "additionalProperties": False, **listed, **more}


def _many(name: str, item: Schema) -> Schema:
    """A page of a list."""
    steps = {"first": {"type": "string"}, "next": {"type": "string"}, "schema": {"type": "string"}}
    links = [{"rel": rel, "href": f"{{{key}}}"} for rel, key in (("first", "first"), ("next", "next"))]
    described = {"rel": "describedby", "href": "{schema}"}
    return {
        "name": name,
        "properties": {name: {"type": "array", "items": item}, **steps},
        "links": [*links, described],
    }


_MEMBER, _TASK = _one("member", MEMBER), _one("task", TASK)
_PROPERTY = _one("property", {"name": named("Name of the property", LONGEST_NAME), **PROPERTY}, "name", "title", "type")
_ASSOCIATION = _one("resource_type_association", ASSOCIATION, "name")
_OBJECT, _TAG = _one("object", OBJECT, "name"), _one("tag", TAG, "name")
_NAMESPACE = _one("namespace", NAMESPACE, "namespace")

DOCUMENTS: dict[str, Schema] = {
    "image": IMAGE_SCHEMA,
    "images": IMAGES_SCHEMA,
    "member": _MEMBER,
    "members": {
        "name": "members",
        "properties": {"members": {"type": "array", "items": _MEMBER}, "schema": {"type": "string"}},
        "links": [{"rel": "describedby", "href": "{schema}"}],
    },
    "task": _TASK,
    "tasks": _many("tasks", _TASK),
    "metadefs/namespace": _NAMESPACE,
    "metadefs/namespaces": _many("namespaces", _NAMESPACE),
    "metadefs/resource_type": _ASSOCIATION,
    "metadefs/resource_types": _many("resource_type_associations", _ASSOCIATION),
    "metadefs/property": _PROPERTY,
    "metadefs/properties": _many("properties", _PROPERTY),
    "metadefs/object": _OBJECT,
    "metadefs/objects": _many("objects", _OBJECT),
    "metadefs/tag": _TAG,
    "metadefs/tags": _many("tags", _TAG),
}
"""Path below `/v2/schemas/` -> the schema there."""
