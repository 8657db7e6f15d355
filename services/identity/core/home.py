"""The JSON home document: what can be found where.  Internet draft "Home Documents for HTTP APIs", in Keystone's words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

MEDIA_TYPE = "application/json-home"
API = "https://docs.openstack.org/api/openstack-identity/3"
PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")


def document(paths: Iterable[str], prefix: str = "") -> dict[str, Any]:
    """Of paths like `/projects/{project_id}`, told with the prefix."""
    return {"resources": {relation(path): _entry(path, prefix) for path in sorted(set(paths))}}


def relation(path: str) -> str:
    """`/users/{user_id}/projects` -> …/rel/user_projects"""
    parts = path.strip("/").split("/")
    extension = next((part for part in parts if part.startswith("OS-")), None)
    base = f"{API}/ext/{extension}/1.0" if extension else API
    words = [
        _singular(part) if PARAMETER.fullmatch(following) else part
        for part, following in zip(parts, [*parts[1:], ""], strict=True)
        if not PARAMETER.fullmatch(part) and part != extension
    ]
    return f"{base}/rel/{'_'.join(words)}"


def _singular(word: str) -> str:
    return word[:-3] + "y" if word.endswith("ies") else word.removesuffix("s")


def _entry(path: str, prefix: str) -> dict[str, Any]:
    names = PARAMETER.findall(path)
    template = prefix + PARAMETER.sub(r"{\1}", path)
    if not names:
        return {"href": template}
    return {"href-template": template, "href-vars": {name: f"{API}/param/{name}" for name in names}}


def is_wanted(accept: str) -> bool:
    """Whether an `Accept` header likes this document better than plain JSON."""
    wishes = [_wish(one) for one in accept.split(",")]

    def liking(*names: str) -> float:
        return max((weight for name, weight in wishes if name in names), default=0.0)

    return liking(MEDIA_TYPE) > liking("application/json", "application/*", "*/*")


def _wish(text: str) -> tuple[str, float]:
    name, *options = (part.strip().lower() for part in text.split(";"))
    weight = next((option[2:] for option in options if option.startswith("q=")), "1")
    return name, float(weight) if re.fullmatch(r"[01](\.\d{0,3})?", weight) else 0.0
