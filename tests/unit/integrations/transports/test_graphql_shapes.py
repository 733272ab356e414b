from __future__ import annotations

from typing import Any

import pytest

from hub.integrations.transports.graphql.document import read
from hub.integrations.transports.graphql.forms import GraphqlSettings
from hub.integrations.transports.graphql.shapes import variable_faults

SCHEMA = """
scalar Anything
enum Colour { RED GREEN }
input Filter { name: String, all: [Filter!], limit: Int! = 10, colour: Colour!, any: Anything }
type Query { find(a: Filter, b: [Colour!]!, c: Int, d: Float, e: Boolean, f: ID, g: [[Int]], h: Anything): Int }
"""
DOCUMENT = """query($a: Filter, $b: [Colour!]! = [RED], $c: Int, $d: Float, $e: Boolean, $f: ID, $g: [[Int]], $h: Anything) {
  find(a: $a, b: $b, c: $c, d: $d, e: $e, f: $f, g: $g, h: $h)
}"""


def faults(
    variables: dict[str, Any], document: str = DOCUMENT, schema: str | None = SCHEMA
) -> dict[str, str]:
    declared = read(document, None, GraphqlSettings(schema_text=schema)).variables
    return {fault.path: fault.message for fault in variable_faults(declared, variables, "v")}


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"a": None, "b": "RED", "c": 1, "d": 1, "e": True, "f": 7, "g": 3, "h": {"x": [1]}},
        {"b": ["RED", "GREEN"], "c": -(2**31), "d": 1.5, "e": False, "f": "x", "g": [[1], None, [None]]},
        {"a": {"colour": "RED", "all": [{"colour": "GREEN", "all": []}], "any": [1]}, "c": 1.0},
    ],
    ids=["nothing", "single values", "lists", "objects"],
)
def test_values_that_fit_pass(variables: dict[str, Any]) -> None:
    assert faults(variables) == {}


@pytest.mark.parametrize(
    ("variables", "path", "says"),
    [
        ({"z": 1}, "v.z", "declares no such variable; it declares a, b, c"),
        ({"b": None}, "v.b", "must not be null: [Colour!]!"),
        ({"b": ["BLUE"]}, "v.b.0", "one of the values of Colour: GREEN, RED"),
        ({"b": ["RED", None]}, "v.b.1", "must not be null: Colour!"),
        ({"c": "1"}, "v.c", "whole number of 32 bits"),
        ({"c": True}, "v.c", "whole number of 32 bits"),
        ({"c": 2**31}, "v.c", "whole number of 32 bits"),
        ({"c": float("inf")}, "v.c", "whole number of 32 bits"),
        ({"d": "1"}, "v.d", "a number (Float)"),
        ({"e": 1}, "v.e", "true or false"),
        ({"f": 1.5}, "v.f", "a text or a whole number"),
        ({"f": True}, "v.f", "a text or a whole number"),
        ({"g": [["x"]]}, "v.g.0.0", "whole number"),
        ({"a": 1}, "v.a", "must be an object: Filter"),
        ({"a": {}}, "v.a.colour", "is required: Colour!"),
        (
            {"a": {"colour": "RED", "nope": 1}},
            "v.a.nope",
            "Filter has no such field; it has all, any, colour",
        ),
        ({"a": {"colour": "RED", "all": [{"colour": "RED"}, {"colour": 1}]}}, "v.a.all.1.colour", "one of"),
        ({"a": {"colour": "RED", "limit": None}}, "v.a.limit", "must not be null"),
    ],
)
def test_values_that_do_not_fit_are_named_with_their_place(
    variables: dict[str, Any], path: str, says: str
) -> None:
    found = faults(variables)
    assert list(found) == [path]
    assert says in found[path]


def test_a_required_variable_must_be_there() -> None:
    found = faults({}, "query($x: [ID!]!) { a(x: $x) }", None)
    assert found == {"v.x": "is required: [ID!]!"}


def test_without_a_schema_built_in_scalars_are_checked_and_others_pass() -> None:
    document = "query($x: Int!, $y: Filter!, $z: [Colour!]) { a(x: $x, y: $y, z: $z) }"
    assert faults({"x": 1, "y": {"any": "thing"}, "z": [1, "RED"]}, document, None) == {}
    assert set(faults({"x": "1", "y": None, "z": [None]}, document, None)) == {"v.x", "v.y", "v.z.0"}


def test_one_of_takes_exactly_one() -> None:
    schema = "input By @oneOf { id: ID, name: String } type Query { a(by: By): Int }"
    document = "query($by: By) { a(by: $by) }"
    assert faults({"by": {"id": 1}}, document, schema) == {}
    for by in ({}, {"id": 1, "name": "x"}, {"id": None}):
        assert "exactly one" in faults({"by": by}, document, schema)["v.by"]
