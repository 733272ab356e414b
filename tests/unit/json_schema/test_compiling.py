"""Compiled schemas: what they accept is what the draft says, with the package jsonschema as the judge."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError

from hub.core.errors import Invalid, TooLarge
from hub.json_schema import MAX_BYTES, compile_schema

#: Schema, documents that fit, documents that do not.
CASES: list[tuple[Any, list[Any], list[Any]]] = [
    (True, [1, None, {}], []),
    (False, [], [1, None, {}]),
    ({}, [1, None], []),
    ({"type": "integer"}, [1, 1.0, 10**30, -0.0], [1.5, True, "1", None]),
    ({"type": "number"}, [1, 1.5], [True, "1"]),
    ({"type": ["string", "null"]}, ["", None], [0, [], {}]),
    ({"type": "boolean"}, [True, False], [0, 1, "true"]),
    ({"enum": [1, "a", None, [1, {"x": 2}]]}, [1, 1.0, "a", None, [1, {"x": 2.0}]], [True, "1", [1], [1, {"x": 3}], {}]),
    ({"enum": [True]}, [True], [1, 1.0]),
    ({"enum": []}, [], [1]),
    ({"const": {"a": [False]}}, [{"a": [False]}], [{"a": [0]}, {}, None]),
    ({"const": "1"}, ["1"], [1]),
    ({"multipleOf": 3}, [0, 9, -3, "x", 6.0], [1, 10, 1.5]),
    ({"minimum": 2, "exclusiveMaximum": 5}, [2, 4.99, "x", True], [1, 5, 5.0]),
    ({"exclusiveMinimum": 2, "maximum": 5}, [2.1, 5], [2, 5.1]),
    ({"minLength": 2, "maxLength": 3}, ["ab", "äöü", "😀😀", 1], ["a", "abcd"]),
    ({"minLength": 2.0}, ["ab"], ["a"]),
    ({"pattern": "^a+$"}, ["a", "aa", 1], ["b", "ab", ""]),
    ({"pattern": "b"}, ["abc"], ["ac"]),
    ({"minItems": 1, "maxItems": 2}, [[1], [1, 2], {}], [[], [1, 2, 3]]),
    ({"uniqueItems": True}, [[1, True, "1", [1], {"a": 1}], [], 1], [[1, 1.0], [{"a": 1, "b": 2}, {"b": 2, "a": 1}]]),
    ({"uniqueItems": False}, [[1, 1]], []),
    ({"minProperties": 1, "maxProperties": 2}, [{"a": 1}], [{}, {"a": 1, "b": 2, "c": 3}]),
    ({"required": ["a", "b"]}, [{"a": None, "b": 0}, [], "a"], [{}, {"a": 1}]),
    ({"dependentRequired": {"a": ["b"]}}, [{}, {"b": 1}, {"a": 1, "b": 1}], [{"a": 1}]),
    ({"dependentSchemas": {"a": {"required": ["b"]}}}, [{}, {"a": 1, "b": 1}], [{"a": 1}]),
    ({"properties": {"a": {"type": "string"}}}, [{}, {"a": ""}, {"b": 1}, []], [{"a": 1}]),
    ({"properties": {"a": False}}, [{}, {"b": 1}], [{"a": 1}]),
    ({"patternProperties": {"^x_": {"type": "integer"}}}, [{"x_a": 1, "y": ""}], [{"x_a": ""}]),
    (
        {"properties": {"a": {}}, "patternProperties": {"^x": {}}, "additionalProperties": False},
        [{}, {"a": 1, "x1": 2}, []],
        [{"b": 1}, {"a": 1, "y": 1}],
    ),
    ({"additionalProperties": {"type": "integer"}}, [{"a": 1}], [{"a": ""}]),
    ({"propertyNames": {"maxLength": 2}}, [{"ab": 1}, []], [{"abc": 1}]),
    ({"items": {"type": "integer"}}, [[], [1, 2], {}], [[1, ""]]),
    ({"prefixItems": [{"type": "integer"}, True], "items": False}, [[], [1], [1, ""]], [[""], [1, 2, 3]]),
    ({"contains": {"const": 1}}, [[1], [2, 1], {}], [[], [2]]),
    ({"contains": {"const": 1}, "minContains": 2, "maxContains": 3}, [[1, 1, 0], [1, 1, 1]], [[1], [1, 1, 1, 1]]),
    ({"contains": {"const": 1}, "minContains": 0}, [[], [2]], []),
    ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, [1, 2], [0, 3]),
    ({"anyOf": [{"type": "string"}, {"minimum": 5}]}, ["", 5, None], [4]),
    ({"oneOf": [{"multipleOf": 2}, {"multipleOf": 3}]}, [2, 3, 4], [6, 1]),
    ({"not": {"type": "string"}}, [1], [""]),
    ({"if": {"type": "string"}, "then": {"minLength": 1}, "else": {"minimum": 1}}, ["a", 1], ["", 0]),
    ({"if": {"type": "string"}}, ["", 1], []),
    ({"then": False, "else": False}, [1], []),
    ({"$defs": {"a": {"type": "string"}}, "$ref": "#/$defs/a", "minLength": 1}, ["a"], ["", 1]),
    ({"$defs": {"a": {"$anchor": "here", "type": "string"}}, "$ref": "#here"}, ["a"], [1]),
    ({"$defs": {"a": {"$dynamicAnchor": "t", "type": "string"}}, "$dynamicRef": "#t"}, ["a"], [1]),
    ({"$defs": {"a/b~c%": {"type": "string"}}, "$ref": "#/$defs/a~1b~0c%25"}, ["a"], [1]),
    ({"$id": "https://example.com/a", "$defs": {"a": {"type": "null"}}, "items": {"$ref": "#/$defs/a"}}, [[None]], [[1]]),
    (
        {"properties": {"next": {"$ref": "#"}, "n": {"type": "integer"}}, "required": ["n"]},
        [{"n": 1, "next": {"n": 2, "next": {"n": 3}}}],
        [{"n": 1, "next": {"n": 2, "next": {}}}],
    ),
    (
        {"allOf": [{"properties": {"a": {}}}], "properties": {"b": {}}, "unevaluatedProperties": False},
        [{}, {"a": 1, "b": 2}],
        [{"c": 1}],
    ),
    (
        {
            "anyOf": [{"properties": {"a": {"const": 1}}, "required": ["a"]}, {"properties": {"b": {}}}],
            "unevaluatedProperties": {"type": "string"},
        },
        [{"a": 1}, {"a": 1, "b": 2}, {"b": 2}, {"b": 2, "c": ""}],
        [{"a": 2}, {"a": 1, "c": 3}],
    ),
    (
        {"if": {"properties": {"a": {"const": 1}}, "required": ["a"]}, "then": {"properties": {"b": {}}}, "unevaluatedProperties": False},
        [{}, {"a": 1}, {"a": 1, "b": 1}],
        [{"b": 1}, {"a": 2}],
    ),
    ({"properties": {"a": {}}, "allOf": [{"unevaluatedProperties": False}]}, [{}], [{"a": 1}]),
    ({"$defs": {"x": {"properties": {"a": {}}}}, "$ref": "#/$defs/x", "unevaluatedProperties": False}, [{"a": 1}], [{"b": 1}]),
    ({"not": {"not": {"properties": {"a": {}}}}, "unevaluatedProperties": False}, [{}], [{"a": 1}]),
    ({"additionalProperties": True, "unevaluatedProperties": False}, [{"a": 1}], []),
    ({"prefixItems": [True], "unevaluatedItems": False}, [[], [1]], [[1, 2]]),
    ({"contains": {"type": "string"}, "unevaluatedItems": False}, [["a"], ["a", "b"]], [["a", 1], []]),
    ({"allOf": [{"items": True}], "unevaluatedItems": False}, [[1, 2]], []),
    ({"unknown-keyword": {"type": 1}, "title": "t", "examples": [1], "default": 1}, [1], []),
]  # fmt: skip


def judge(schema: Any, document: Any) -> bool:
    return bool(Draft202012Validator(schema, format_checker=FormatChecker(formats=())).is_valid(document))


@pytest.mark.parametrize(
    ("schema", "fitting", "others"), CASES, ids=[json.dumps(case[0])[:60] for case in CASES]
)
def test_a_schema_takes_what_fits_and_nothing_else(
    schema: Any, fitting: list[Any], others: list[Any]
) -> None:
    validator = compile_schema(schema)
    for document in fitting:
        assert validator.errors(document) == [], document
        assert judge(schema, document), document
    for document in others:
        assert validator.errors(document), document
        assert not judge(schema, document), document


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, -2.0]) | st.sampled_from(["", "a", "ab", "x1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "x1"]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
NAMES = st.lists(st.sampled_from(["a", "b", "x1"]), unique=True, max_size=2)
TYPES = st.sampled_from(["null", "boolean", "object", "array", "number", "string", "integer"])


def schemas_from(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=2)
    named = st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES | st.lists(TYPES, min_size=1, max_size=2, unique=True),
            "enum": st.lists(JSON_VALUES, min_size=1, max_size=3),
            "const": JSON_VALUES,
            "minimum": st.integers(-2, 2),
            "multipleOf": st.integers(1, 3),
            "maxLength": st.integers(0, 2),
            "pattern": st.sampled_from(["a", "^a$", "[0-9]"]),
            "minItems": st.integers(0, 2),
            "uniqueItems": st.booleans(),
            "required": NAMES,
            "maxProperties": st.integers(0, 2),
            "dependentRequired": st.dictionaries(st.sampled_from(["a", "b"]), NAMES, max_size=1),
            "properties": named,
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "1$"]), inner, max_size=1),
            "additionalProperties": inner,
            "propertyNames": inner,
            "items": inner,
            "prefixItems": several,
            "contains": inner,
            "minContains": st.integers(0, 2),
            "maxContains": st.integers(0, 2),
            "allOf": several,
            "anyOf": several,
            "oneOf": several,
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
            "dependentSchemas": named,
            "$ref": st.sampled_from(["#/$defs/one", "#/$defs/two"]),
        },
    )


LEAF_SCHEMAS = st.booleans() | st.fixed_dictionaries({}, optional={"type": TYPES, "required": NAMES})
SCHEMAS = st.recursive(LEAF_SCHEMAS, schemas_from, max_leaves=5)


@settings(max_examples=200, deadline=None)
@given(
    schema=schemas_from(SCHEMAS),
    one=LEAF_SCHEMAS,
    two=LEAF_SCHEMAS,
    documents=st.lists(JSON_VALUES, min_size=1, max_size=6),
)
def test_the_judge_agrees_on_any_schema_and_document(
    schema: dict[str, Any], one: Any, two: Any, documents: list[Any]
) -> None:
    whole = {**schema, "$defs": {"one": one, "two": two}}
    validator = compile_schema(whole)
    for document in documents:
        assert (validator.errors(document) == []) == judge(whole, document), document


# -- errors -----------------------------------------------------------------------------------------------------------


def test_an_error_names_the_place_and_what_was_expected() -> None:
    schema = {
        "required": ["id"],
        "additionalProperties": False,
        "properties": {
            "id": {"type": "string"},
            "amount": {"type": ["integer", "null"], "minimum": 0},
            "currency": {"enum": ["EUR", "USD"]},
            "lines": {"items": {"properties": {"sku": {"pattern": "^s-"}}}},
            "due": {"format": "date"},
        },
    }
    document = {"amount": -5, "currency": "GBP", "lines": [{}, {"sku": "canary"}], "due": "soon", "extra": 1}
    found = {error.path: error.message for error in compile_schema(schema).errors(document)}
    assert found == {
        "data.id": "is required",
        "data.amount": "must be at least 0",
        "data.currency": 'must be one of "EUR", "USD"',
        "data.lines.1.sku": 'must match "^s-"',
        "data.due": "must be of the format date",
        "data.extra": "is not allowed",
    }


def test_the_one_alternative_of_the_right_kind_says_what_it_lacks() -> None:
    schema = {"properties": {"payer": {"anyOf": [{"type": "null"}, {"type": "object", "required": ["id"]}]}}}
    validator = compile_schema(schema)
    assert [(error.path, error.message) for error in validator.errors({"payer": {}})] == [
        ("data.payer.id", "is required")
    ]
    assert [(error.path, error.message) for error in validator.errors({"payer": 1})] == [
        ("data.payer", "fits none of the 2 allowed forms")
    ]


def test_errors_are_few_and_short_and_without_the_values() -> None:
    canary = "canary" * 100_000
    schema = {"additionalProperties": {"type": "integer"}, "maxProperties": 1}
    errors = compile_schema(schema).errors({f"{'k' * 100_000}{n}": canary for n in range(500)})
    assert len(errors) == 20
    assert max(len(error.path) + len(error.message) for error in errors) < 400
    assert not any("canary" in f"{error}" for error in errors)


def test_long_values_of_a_schema_are_cut_in_errors() -> None:
    (error,) = compile_schema({"enum": ["x" * 1000] * 3}).errors("y")
    assert len(error.message) < 200


def test_decimals_are_taken_as_they_are_written() -> None:
    cents = compile_schema({"multipleOf": 0.01})
    assert not judge({"multipleOf": 0.01}, 19.99)  # why it is not left to binary fractions
    for amount in (19.99, 0.07, 1.1, 4.35, 10**20, 1e300):
        assert cents.errors(amount) == [], amount
    assert cents.errors(19.999)


# -- what is refused when a schema is saved ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ([], "schema"),
        (None, "schema"),
        ({"type": "text"}, "schema.type"),
        ({"type": []}, "schema.type"),
        ({"type": ["string", "string"]}, "schema.type"),
        ({"properties": {"a": {"type": 1}}}, "schema.properties.a.type"),
        ({"properties": []}, "schema.properties"),
        ({"properties": {"a": 1}}, "schema.properties.a"),
        ({"items": [{}]}, "schema.items"),
        ({"allOf": []}, "schema.allOf"),
        ({"anyOf": {}}, "schema.anyOf"),
        ({"oneOf": [{}, 3]}, "schema.oneOf.1"),
        ({"prefixItems": []}, "schema.prefixItems"),
        ({"not": 1}, "schema.not"),
        ({"then": 1}, "schema.then"),
        ({"$defs": {"a": {"minimum": "1"}}}, "schema.$defs.a.minimum"),
        ({"definitions": {"a": 1}}, "schema.definitions.a"),
        ({"required": "a"}, "schema.required"),
        ({"required": ["a", "a"]}, "schema.required"),
        ({"required": [1]}, "schema.required"),
        ({"dependentRequired": {"a": [1]}}, "schema.dependentRequired.a"),
        ({"dependentRequired": []}, "schema.dependentRequired"),
        ({"dependentSchemas": []}, "schema.dependentSchemas"),
        ({"enum": 1}, "schema.enum"),
        ({"multipleOf": 0}, "schema.multipleOf"),
        ({"multipleOf": True}, "schema.multipleOf"),
        ({"maxLength": -1}, "schema.maxLength"),
        ({"minItems": 1.5}, "schema.minItems"),
        ({"minContains": "1"}, "schema.minContains"),
        ({"uniqueItems": 1}, "schema.uniqueItems"),
        ({"pattern": 1}, "schema.pattern"),
        ({"format": 1}, "schema.format"),
        ({"title": 1}, "schema.title"),
        ({"deprecated": "yes"}, "schema.deprecated"),
        ({"examples": {}}, "schema.examples"),
        ({"contentSchema": 1}, "schema.contentSchema"),
        ({"$ref": 1}, "schema.$ref"),
        ({"$anchor": "1a"}, "schema.$anchor"),
        ({"$id": "a#b"}, "schema.$id"),
        ({"$vocabulary": 1}, "schema.$vocabulary"),
    ],
    ids=lambda value: value if isinstance(value, str) else json.dumps(value)[:40],
)
def test_what_the_draft_refuses_is_refused_with_its_place(schema: Any, path: str) -> None:
    with pytest.raises(SchemaError):
        Draft202012Validator.check_schema(schema, format_checker=FormatChecker(formats=()))
    with pytest.raises(Invalid) as caught:
        compile_schema(schema)
    assert path in {fault.path for fault in caught.value.fields}


@pytest.mark.parametrize(
    ("schema", "path", "said"),
    [
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, "schema.$ref", "within the document"),
        ({"$ref": "other.json#/a"}, "schema.$ref", "within the document"),
        ({"items": {"$ref": "file:///etc/passwd"}}, "schema.items.$ref", "within the document"),
        ({"$dynamicRef": "http://127.0.0.1/"}, "schema.$dynamicRef", "within the document"),
        ({"$ref": "#/$defs/none"}, "schema.$ref", "not in this document"),
        ({"allOf": [{}], "$ref": "#/allOf/7"}, "schema.$ref", "not in this document"),
        ({"allOf": [{}], "$ref": "#/allOf/" + "9" * 5000}, "schema.$ref", "not in this document"),
        ({"$ref": "#nowhere"}, "schema.#nowhere", "not in this document"),
        ({"items": {"$id": "https://example.com/b"}}, "schema.items.$id", "at the top only"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "schema.$schema", "2020-12"),
        ({"$defs": {"a": {"$anchor": "x"}, "b": {"$anchor": "x"}}}, "schema.$defs", "twice"),
        ({"properties": {"a": {"pattern": "(?=a)"}}}, "schema.properties.a.pattern", "RE2"),
        ({"pattern": r"(a)\1"}, "schema.pattern", "RE2"),
        ({"pattern": "("}, "schema.pattern", "RE2"),
        ({"pattern": "a" * 1001}, "schema.pattern", "over 1000"),
        ({"pattern": r"((\w{1,30}){1,30}){1,30}"}, "schema.pattern", "RE2"),
        ({"patternProperties": {"(?!a)": {}}, "additionalProperties": False}, "schema.patternProperties.(?!a)", "RE2"),
        ({"$ref": "#"}, "schema", "refers to itself"),
        ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"not": {"$ref": "#/$defs/a"}}]}}}, "schema.$defs", "itself"),
        ({"$anchor": "a", "allOf": [{"$ref": "#a"}]}, "schema", "refers to itself"),
    ],
    ids=lambda value: value if isinstance(value, str) else json.dumps(value)[:50],
)  # fmt: skip
def test_what_could_leave_the_document_or_never_end_is_refused(schema: Any, path: str, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        compile_schema(schema)
    (fault,) = caught.value.fields
    assert fault.path.startswith(path)
    assert said in fault.message


def test_all_faults_are_told_at_once_up_to_a_cap() -> None:
    with pytest.raises(Invalid) as caught:
        compile_schema({"properties": {f"p{n}": {"type": "x"} for n in range(50)}})
    assert len(caught.value.fields) == 20


def deep(levels: int) -> Any:
    schema: Any = {}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"description": "x" * MAX_BYTES}, "256 KiB"),
        (deep(10_000), "64 levels"),
        ({"allOf": [True] * 6000}, "5000 subschemas"),
    ],
    ids=["bytes", "depth", "subschemas"],
)
def test_a_schema_over_a_cap_is_refused(schema: Any, said: str) -> None:
    with pytest.raises(TooLarge, match=said):
        compile_schema(schema)


def test_a_schema_at_the_caps_is_taken() -> None:
    assert compile_schema(deep(63)).errors([[[]]]) == []
    assert compile_schema({"allOf": [True] * 4990}).errors(1) == []
    assert compile_schema({"description": "x" * (MAX_BYTES - 100)}).errors(1) == []


# -- what could hold up a process -------------------------------------------------------------------------------------

FAN = {
    "$defs": {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)} | {"a40": {}},
    "$ref": "#/$defs/a0",
}
CHAIN = {
    "$defs": {f"a{n}": {"$ref": f"#/$defs/a{n + 1}"} for n in range(2000)} | {"a2000": {}},
    "$ref": "#/$defs/a0",
}
NESTED_ALTERNATIVES: Any = {"type": "null"}
for _ in range(25):
    NESTED_ALTERNATIVES = {"anyOf": [NESTED_ALTERNATIVES, {"type": "string", "minLength": 9}]}


@pytest.mark.parametrize(
    ("schema", "document", "complete"),
    [
        ({"pattern": r"^(a+)+$"}, "a" * 100_000 + "!", True),
        ({"patternProperties": {r"^(a|aa)+$": False}}, {"a" * 5000 + "!": 1}, True),
        ({"items": {"pattern": r"(\w{1,30}){1,7}x$"}}, ["a" * 50_000] * 20, False),
        (FAN, 1, False),
        (CHAIN, 1, False),
        (NESTED_ALTERNATIVES, 1, True),
        ({"anyOf": [{"type": "string"}] * 4000}, {"x": ["y" * 100] * 10_000}, True),
        ({"uniqueItems": True}, [{"n": n} for n in range(30_000)], True),
        # Integers whose hashes are all the same in Python.
        ({"uniqueItems": True}, [(2**61 - 1) * n for n in range(30_000)], True),
        ({"items": {"allOf": [{"type": "integer"}] * 1000}}, list(range(100_000)), False),
        ({"items": {"enum": [list(range(1000))]}}, [list(range(1000))] * 100, True),
        ({"required": [f"n{n}" for n in range(10_000)]}, {}, True),
        ({"unevaluatedProperties": {"type": "null"}}, {f"n{n}": None for n in range(30_000)}, True),
    ],
    ids=["regex", "names", "large-regex", "fan", "chain", "nested", "anyof", "unique", "collisions", "product", "enum", "required", "rest"],
)  # fmt: skip
def test_no_schema_holds_up_the_process(schema: Any, document: Any, complete: bool) -> None:
    """`complete`: it is judged within the budget; otherwise one error says that it is not."""
    started = time.thread_time()
    errors = compile_schema(schema).errors(document)
    assert time.thread_time() - started < 3
    assert any("too much work" in error.message for error in errors) is not complete


def test_a_document_too_deep_for_its_schema_is_an_error_and_not_a_fault() -> None:
    document: Any = []
    for _ in range(100_000):
        document = [document]
    (error,) = compile_schema({"items": {"$ref": "#"}}).errors(document)
    assert "too much work" in error.message
    while document:  # freed level by level
        document = document[0]


def test_a_required_list_of_objects_is_refused_at_once() -> None:
    started = time.thread_time()
    with pytest.raises(Invalid):
        compile_schema({"required": [{"n": n} for n in range(15_000)]})
    assert time.thread_time() - started < 1
