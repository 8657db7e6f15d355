"""Addresses in answers: absolute and public, whatever host the request was sent to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from starlette.datastructures import QueryParams


def of(url: str, collection: str, item_id: object) -> list[dict[str, str]]:
    """A thing's own address, and the one without a version."""
    return [
        {"rel": "self", "href": f"{url}/v2.1/{collection}/{item_id}"},
        {"rel": "bookmark", "href": f"{url}/{collection}/{item_id}"},
    ]


def bookmark(url: str, collection: str, item_id: object) -> list[dict[str, str]]:
    return [{"rel": "bookmark", "href": f"{url}/{collection}/{item_id}"}]


def next_page(url: str, path: str, query: QueryParams, marker: object) -> list[dict[str, str]]:
    """Where a list goes on."""
    kept = [(name, value) for name, value in query.multi_items() if name != "marker"]
    return [{"rel": "next", "href": f"{url}/v2.1{path}?{urlencode([*kept, ('marker', str(marker))])}"}]


def paged(name: str, items: Sequence[Mapping[str, object]], links: list[dict[str, str]] | None) -> dict[str, object]:
    """A list as the API wraps it: with links only if the page is full."""
    body: dict[str, object] = {name: items}
    return body | ({f"{name}_links": links} if links else {})
