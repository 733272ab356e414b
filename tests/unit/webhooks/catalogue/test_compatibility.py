from __future__ import annotations

import json
from typing import Any

import pytest

from hub.webhooks.catalogue.compatibility import MAX_CHANGES, BreakingChange, breaking_changes

OBJECT = {
    "type": "object",
    "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
    "required": ["a"],
}


def changed(**fields: Any) -> dict[str, Any]:
    return {**OBJECT, **fields}


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (OBJECT, []),
        (changed(description="x", title="y"), []),
        (changed(required=[]), []),
        (changed(properties={**OBJECT["properties"], "c": {}}), []),  # type: ignore[dict-item]
        (changed(required=["a", "b"]), [("data.b", "required_added")]),
        (changed(properties={"a": {"type": "string"}}), [("data.b", "property_removed")]),
        (
            changed(properties={"a": {"type": ["string", "null"]}, "b": {"type": "integer"}}),
            [("data.a", "type_changed")],
        ),
        ({"type": "array"}, [("data", "type_changed")]),
        (True, []),
    ],
    ids=lambda value: json.dumps(value)[-60:],
)
def test_changes_are_told_with_their_place(new: Any, expected: list[tuple[str, str]]) -> None:
    assert [(one.path, one.change) for one in breaking_changes(OBJECT, new)] == expected


def test_nested_objects_lists_and_references_are_compared() -> None:
    old = {
        "properties": {
            "customer": {"$ref": "#/$defs/c"},
            "lines": {"items": {"properties": {"sku": {}, "n": {}}}},
        },
        "$defs": {"c": {"properties": {"id": {"type": "string"}}}},
    }
    new = {
        "properties": {
            "customer": {"properties": {"id": {"type": "integer"}}},
            "lines": {"items": {"$ref": "#/$defs/l"}},
        },
        "$defs": {"l": {"properties": {"sku": {}}}},
    }
    assert [(one.path, one.change) for one in breaking_changes(old, new)] == [
        ("data.customer.id", "type_changed"),
        ("data.lines.*.n", "property_removed"),
    ]


def test_schemas_that_contain_themselves_end() -> None:
    tree = {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}}
    assert breaking_changes(tree, tree) == []
    grown = {**tree, "required": ["left"]}
    assert breaking_changes(tree, grown)[0] == BreakingChange("data.left", "required_added")
    circle = {"$ref": "#"}
    assert breaking_changes(circle, circle) == []


def test_only_so_many_changes_are_told() -> None:
    old: dict[str, Any] = {"properties": {f"p{n}": {} for n in range(500)}}
    assert len(breaking_changes(old, {})) == MAX_CHANGES
