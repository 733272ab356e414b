"""Keywords that apply other schemas to the parts of a value (JSON Schema 2020-12 core, sections 10.3 and 11).

What `unevaluatedProperties` and `unevaluatedItems` need is noted along the way in `seen`, only where it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.json_schema.assertions import is_integer

if TYPE_CHECKING:
    from hub.json_schema.patterns import Pattern
    from hub.json_schema.place import Keyword, Node, Place
    from hub.json_schema.run import Check, Path, Run, Seen


def _named(value: Any, place: Place, keyword: str) -> dict[str, Node] | None:
    if not isinstance(value, dict):
        place.fault("must be an object of schemas", keyword)
        return None
    return {name: place.below(one, keyword, name) for name, one in value.items()}


# -- properties -----------------------------------------------------------------------------------------------------


def _properties(value: Any, place: Place) -> Check | None:
    nodes = _named(value, place, "properties")
    if nodes is None:
        return None

    def check(value: Any, path: Path, run: Run, seen: Seen) -> None:
        if isinstance(value, dict):
            run.spend(len(nodes) // 16)
            for name, node in nodes.items():
                if name in value:
                    node(value[name], (path, name), run, None)
                    if seen is not None:
                        seen.add(name)

    return check


def _pattern_properties(value: Any, place: Place) -> Check | None:
    nodes = _named(value, place, "patternProperties")
    if nodes is None:
        return None
    pairs = [(pattern, nodes[pattern.text]) for pattern in _patterns(place)]

    def check(value: Any, path: Path, run: Run, seen: Seen) -> None:
        if isinstance(value, dict):
            for pattern, node in pairs:
                for name, part in value.items():
                    run.spend(pattern.cost(name))
                    if pattern.found_in(name):
                        node(part, (path, name), run, None)
                        if seen is not None:
                            seen.add(name)

    return check


def _patterns(place: Place) -> list[Pattern]:
    """Those of `patternProperties`; what is wrong with one is told once, whoever asks first."""
    value = place.schema.get("patternProperties")
    found = (
        [place.pattern(text, "patternProperties", text) for text in value] if isinstance(value, dict) else []
    )
    return [pattern for pattern in found if pattern is not None]


def _additional_properties(value: Any, place: Place) -> Check:
    node = place.below(value, "additionalProperties")
    listed = place.schema.get("properties")
    known = frozenset(listed) if isinstance(listed, dict) else frozenset()
    patterns = _patterns(place)

    def check(value: Any, path: Path, run: Run, seen: Seen) -> None:
        if isinstance(value, dict):
            run.spend(len(value) // 16)
            for name, part in value.items():
                if name not in known and not _any_found(patterns, name, run):
                    node(part, (path, name), run, None)
                    if seen is not None:
                        seen.add(name)

    return check


def _unevaluated_properties(value: Any, place: Place) -> Check:
    node = place.below(value, "unevaluatedProperties")

    def check(value: Any, path: Path, run: Run, seen: Seen) -> None:
        if isinstance(value, dict):
            assert seen is not None
            run.spend(len(value) // 16)
            for name, part in value.items():
                if name not in seen:
                    node(part, (path, name), run, None)
                    seen.add(name)

    return check


def _any_found(patterns: list[Pattern], name: str, run: Run) -> bool:
    for pattern in patterns:
        run.spend(pattern.cost(name))
        if pattern.found_in(name):
            return True
    return False


def _property_names(value: Any, place: Place) -> Check:
    node = place.below(value, "propertyNames")

    def check(value: Any, path: Path, run: Run, _seen: Seen) -> None:
        if isinstance(value, dict):
            for name in value:
                if not run.matches(node, name, None):
                    run.fail((path, name), "is a name that `propertyNames` does not allow")

    return check


# -- items ----------------------------------------------------------------------------------------------------------


def _prefix_items(value: Any, place: Place) -> Check | None:
    if not isinstance(value, list) or not value:
        place.fault("must be a list of at least one schema", "prefixItems")
        return None
    nodes = [place.below(one, "prefixItems", index) for index, one in enumerate(value)]

    def check(value: Any, path: Path, run: Run, seen: Seen) -> None:
        if isinstance(value, list):
            for index, (item, node) in enumerate(zip(value, nodes, strict=False)):
                node(item, (path, index), run, None)
                if seen is not None:
                    seen.add(index)

    return check


def _items(value: Any, place: Place) -> Check | None:
    if isinstance(value, list):
        place.fault("must be one schema; a schema for each position is `prefixItems`", "items")
        return None
    node = place.below(value, "items")
    listed = place.schema.get("prefixItems")
    first = len(listed) if isinstance(listed, list) else 0

    def check(value: Any, path: Path, run: Run, seen: Seen) -> None:
        if isinstance(value, list):
            for index in range(first, len(value)):
                node(value[index], (path, index), run, None)
                if seen is not None:
                    seen.add(index)

    return check


def _unevaluated_items(value: Any, place: Place) -> Check:
    node = place.below(value, "unevaluatedItems")

    def check(value: Any, path: Path, run: Run, seen: Seen) -> None:
        if isinstance(value, list):
            assert seen is not None
            run.spend(len(value) // 16)
            for index, item in enumerate(value):
                if index not in seen:
                    node(item, (path, index), run, None)
                    seen.add(index)

    return check


def _contains(value: Any, place: Place) -> Check:
    node = place.below(value, "contains")
    least, most = place.schema.get("minContains", 1), place.schema.get("maxContains")
    at_least: int = least if is_integer(least) else 1
    at_most: int | None = most if is_integer(most) else None

    def check(value: Any, path: Path, run: Run, seen: Seen) -> None:
        if not isinstance(value, list):
            return
        found = [index for index, item in enumerate(value) if run.matches(node, item, None)]
        if len(found) < at_least:
            run.fail(path, f"must have at least {at_least} of the items that `contains` asks for")
        elif at_most is not None and len(found) > at_most:
            run.fail(path, f"must have at most {at_most} of the items that `contains` asks for")
        if seen is not None:
            seen.update(found)

    return check


def _count(keyword: str) -> Keyword:
    """`minContains` and `maxContains` are read by `contains`."""

    def read(value: Any, place: Place) -> None:
        if not is_integer(value) or value < 0:
            place.fault("must be a whole number, 0 or more", keyword)

    return read


def _definitions(keyword: str) -> Keyword:
    def read(value: Any, place: Place) -> None:
        _named(value, place, keyword)

    return read


def _content_schema(value: Any, place: Place) -> None:
    """A remark for readers, but a schema."""
    place.below(value, "contentSchema")


PARTS: dict[str, Keyword] = {
    "$defs": _definitions("$defs"),
    "definitions": _definitions("definitions"),
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "propertyNames": _property_names,
    "prefixItems": _prefix_items,
    "items": _items,
    "contains": _contains,
    "minContains": _count("minContains"),
    "maxContains": _count("maxContains"),
    "contentSchema": _content_schema,
}

#: They come after all others.
LEFTOVERS: dict[str, Keyword] = {
    "unevaluatedProperties": _unevaluated_properties,
    "unevaluatedItems": _unevaluated_items,
}
