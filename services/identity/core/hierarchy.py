"""Trees of projects, as ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Tree = dict[str, Any] | None
"""Id -> the tree that goes on from there; None where it ends."""


def upwards(ancestors: Sequence[str]) -> Tree:
    """From the nearest of them to the one at the top."""
    tree: Tree = None
    for one in reversed(ancestors):
        tree = {one: tree}
    return tree


def downwards(root: str, edges: Iterable[tuple[str, str]]) -> Tree:
    """`edges` are (parent, child)."""
    children: dict[str, list[str]] = {}
    for parent, child in edges:
        children.setdefault(parent, []).append(child)
    return _below(root, children)


def _below(root: str, children: Mapping[str, Sequence[str]]) -> Tree:
    return {child: _below(child, children) for child in children.get(root, ())} or None
