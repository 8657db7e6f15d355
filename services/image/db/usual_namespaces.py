"""Writes the namespaces that clients expect at every site; they stand in `usual_namespaces.toml`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert
from sqlalchemy.orm import Session

from common.db.types import utc_now
from services.image.core.metadata_definitions import Kind
from services.image.db.metadata_tables import AssociationRow, NamespaceRow, PartRow, ResourceTypeRow

FILE = Path(__file__).with_suffix(".toml")
OWNER = "admin"


def write_usual_namespaces(session: Session) -> None:
    """At a site that has none."""
    import tomllib

    namespaces: list[dict[str, Any]] = tomllib.loads(FILE.read_text())["namespace"]
    now = utc_now()
    stamps = {"created_at": now, "updated_at": now}
    ids = {one["name"]: uuid4() for one in namespaces}
    types = sorted({row[0] for one in namespaces for row in one.get("for", [])})
    session.execute(insert(ResourceTypeRow), [{"name": name, **stamps} for name in types])
    session.execute(insert(NamespaceRow), [_namespace(one, ids[one["name"]]) | stamps for one in namespaces])
    for table, rows in ((AssociationRow, _associations), (PartRow, _parts)):
        session.execute(insert(table), [row | stamps for one in namespaces for row in rows(one, ids[one["name"]])])


def _namespace(one: Mapping[str, Any], namespace_id: UUID) -> dict[str, Any]:
    chosen = {name: one[name] for name in ("name", "display_name", "description")}
    return {
        "id": namespace_id,
        **chosen,
        "visibility": "public",
        "protected": one.get("protected", True),
        "owner": OWNER,
    }


def _associations(one: Mapping[str, Any], namespace_id: UUID) -> Iterator[dict[str, Any]]:
    for row in one.get("for", []):
        name, prefix, target = [*row, "", ""][:3]
        yield {
            "namespace_id": namespace_id,
            "resource_type": name,
            "prefix": prefix or None,
            "properties_target": target or None,
        }


def _parts(one: Mapping[str, Any], namespace_id: UUID) -> Iterator[dict[str, Any]]:
    for name, body in one.get("properties", {}).items():
        yield _part(namespace_id, Kind.PROPERTY, name, _typed(body))
    for found in one.get("objects", []):
        properties = {name: _typed(body) for name, body in found["properties"].items()}
        body = {"description": found["description"], "properties": properties}
        yield _part(namespace_id, Kind.OBJECT, found["name"], body)


def _part(namespace_id: UUID, kind: Kind, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    return {"namespace_id": namespace_id, "kind": str(kind), "name": name, "body": dict(body)}


def _typed(body: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "string", **body}
