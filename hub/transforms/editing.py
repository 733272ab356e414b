"""Changed copies of JSON documents. The given document is never touched; unchanged parts are shared.

Paths go through arrays as `hub.transforms.paths` tells. Promises: recursion is bounded by the length of the
path, never by the depth of the document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.transforms.paths import MISSING, is_index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hub.transforms.paths import Path

#: Paths joined by their common beginnings; None where a path ends.
Tree = dict[str, "Tree | None"]


class BlockedError(Exception):
    """Something on the way is no object, so that nothing can be put at the path; the text says what."""


def change(document: Any, path: Path, new: Callable[[Any], Any]) -> Any:
    """Replace every value at a path by `new(value)`; where nothing is, nothing changes."""
    return _change(document, path, 0, new)


def _change(node: Any, path: Path, depth: int, new: Callable[[Any], Any]) -> Any:
    if depth == len(path.names):
        return new(node)
    name, index = path.names[depth], path.indexes[depth]
    if isinstance(node, dict):
        if name not in node:
            return node
        return {**node, name: _change(node[name], path, depth + 1, new)}
    if isinstance(node, list):
        if index is None:
            return [
                {**item, name: _change(item[name], path, depth + 1, new)}
                if isinstance(item, dict) and name in item
                else item
                for item in node
            ]
        if index < len(node):
            return [*node[:index], _change(node[index], path, depth + 1, new), *node[index + 1 :]]
    return node


def put(document: Any, path: Path, new: Callable[[Any], Any]) -> Any:
    """Put `new(value there, or MISSING)` at a path, with objects on the way where nothing or null is.

    Raises:
        BlockedError: text, a number, true, false or a too short array is on the way.
    """
    return _put(document, path, 0, new)


def _put(node: Any, path: Path, depth: int, new: Callable[[Any], Any]) -> Any:
    if depth == len(path.names):
        return new(node)
    name, index = path.names[depth], path.indexes[depth]
    if node is None or node is MISSING:
        node = {}
    if isinstance(node, dict):
        return {**node, name: _put(node.get(name, MISSING), path, depth + 1, new)}
    if isinstance(node, list):
        if index is None:
            return [
                {**item, name: _put(item.get(name, MISSING), path, depth + 1, new)}
                if isinstance(item, dict)
                else item
                for item in node
            ]
        if index < len(node):
            return [*node[:index], _put(node[index], path, depth + 1, new), *node[index + 1 :]]
        raise BlockedError(f"an array there has only {len(node)} elements")
    raise BlockedError(f"{kind(node)} is in the way, where an object is needed")


def join_paths(paths: Iterable[Path]) -> Tree:
    """Paths as a tree; of a path and a longer one that begins with it the shorter one remains."""
    tree: Tree = {}
    for path in paths:
        level = tree
        for name in path.names[:-1]:
            below = level.setdefault(name, {})
            if below is None:
                break
            level = below
        else:
            level[path.names[-1]] = None
    return tree


def keep(node: Any, tree: Tree) -> Any:
    """Only what the paths lead to. In an array, elements that no path leads to are left out."""
    if isinstance(node, dict):
        kept = {}
        for name, value in node.items():
            if name in tree:
                below = tree[name]
                if below is None:
                    kept[name] = value
                elif isinstance(value, dict | list):
                    kept[name] = keep(value, below)
        return kept
    if isinstance(node, list):
        elements = []
        for item, below in _elements(node, tree):
            if below is None:
                elements.append(item)
            elif below and isinstance(item, dict | list):
                elements.append(keep(item, below))
        return elements
    return node


def drop(node: Any, tree: Tree) -> Any:
    """All but what the paths lead to."""
    if isinstance(node, dict):
        left = {}
        for name, value in node.items():
            below = tree.get(name, MISSING)
            if below is MISSING:
                left[name] = value
            elif below is not None:
                left[name] = drop(value, below)
        return left
    if isinstance(node, list):
        return [
            drop(item, below) if below else item for item, below in _elements(node, tree) if below is not None
        ]
    return node


def _elements(node: list[Any], tree: Tree) -> list[tuple[Any, Tree | None]]:
    """Each element with what of the tree is about it: that of its position, or else the names for objects."""
    names = {name: below for name, below in tree.items() if not is_index(name)}
    return [
        (item, tree[str(index)] if str(index) in tree else names if isinstance(item, dict) else {})
        for index, item in enumerate(node)
    ]


def kind(value: Any) -> str:
    """The type of a JSON value in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "an array" if isinstance(value, list) else "an object"
