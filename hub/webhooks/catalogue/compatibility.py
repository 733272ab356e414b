"""What a new version of a schema breaks for those who rely on the old one. Pure; a note, not a proof.

Seen are properties that became required (publishers break), and properties that went away or changed their type
(receivers break), also inside of nested objects and lists, and through references within the document. Not seen is
what hides in alternatives (`anyOf`, `if` …).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Changes that are told of one version.
MAX_CHANGES = 100
_MAX_DEPTH = 64
_MAX_HOPS = 16
#: Properties that one comparison looks at.
_MAX_PARTS = 20_000


@dataclass(frozen=True, slots=True)
class BreakingChange:
    """One change.

    Args:
        path: of the property, `data.customer.email`; an item of a list is `*`.
        change: what became of it.
    """

    path: str
    change: Literal["required_added", "property_removed", "type_changed"]


def breaking_changes(old: Any, new: Any, *, at: str = "data") -> list[BreakingChange]:
    """Compare two schemas.

    Args:
        old: the schema that people rely on.
        new: the one that follows.
        at: the name of the document in the paths.
    """
    return list(islice(_Comparison(old, new).changes(old, new, at), MAX_CHANGES))


class _Comparison:
    """Compares each pair of subschemas once, so that schemas which contain themselves come to an end."""

    def __init__(self, old: Any, new: Any) -> None:
        self._roots = (old, new)
        self._compared: set[tuple[int, int]] = set()
        self._left = _MAX_PARTS

    def changes(self, old: Any, new: Any, at: str) -> Iterator[BreakingChange]:
        # By identity: both documents live longer than this comparison.
        if (id(old), id(new)) in self._compared or at.count(".") > _MAX_DEPTH:
            return
        self._compared.add((id(old), id(new)))
        old, new = _resolved(old, self._roots[0]), _resolved(new, self._roots[1])
        if not isinstance(old, dict) or not isinstance(new, dict):
            return
        if _types(old) != _types(new):
            yield BreakingChange(at, "type_changed")
            return
        was_required = set(_list(old.get("required")))
        for name in _list(new.get("required")):
            if name not in was_required:
                yield BreakingChange(f"{at}.{name}", "required_added")
        properties, successors = _dict(old.get("properties")), _dict(new.get("properties"))
        self._left -= len(properties)
        if self._left < 0:
            return
        for name, schema in properties.items():
            if name in successors:
                yield from self.changes(schema, successors[name], f"{at}.{name}")
            else:
                yield BreakingChange(f"{at}.{name}", "property_removed")
        if "items" in old and "items" in new:
            yield from self.changes(old["items"], new["items"], f"{at}.*")


def _resolved(schema: Any, root: Any) -> Any:
    """Follow references by pointer; a circle of them ends where the count does."""
    for _ in range(_MAX_HOPS):
        if not isinstance(schema, dict) or not isinstance(schema.get("$ref"), str):
            break
        target = root
        for part in schema["$ref"].split("/")[1:]:
            target = _dict(target).get(part.replace("~1", "/").replace("~0", "~"))
        # What stands beside the reference adds to it.
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**_dict(target), **beside}
    return schema


def _types(schema: dict[str, Any]) -> frozenset[str]:
    given = schema.get("type", [])
    return frozenset([given] if isinstance(given, str) else _list(given))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
