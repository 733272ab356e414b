"""Reading the `webhooks` of OpenAPI documents."""

from __future__ import annotations

import time
from typing import Any

import pytest

from hub.core.errors import Invalid
from hub.json_schema import compile_schema
from hub.webhooks.catalogue.openapi_import import Found, read_document


def document(webhooks: Any, **components: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "info": {}, "webhooks": webhooks, "components": components}


def webhook(schema: Any, media: str = "application/json", **operation: Any) -> dict[str, Any]:
    return {"post": {"requestBody": {"content": {media: {"schema": schema}}}, **operation}}


def read_one(schema: Any, **components: Any) -> Found:
    (found,) = read_document(document({"invoice.paid": webhook(schema)}, **components))
    return found


def envelope(type_: Any, data: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"type": type_, "timestamp": {"type": "string"}, "data": data}}


def test_a_webhook_becomes_an_event_type_with_what_is_said_of_it() -> None:
    schema = {"type": "object", "required": ["id"]}
    operation: dict[str, Any] = {
        "summary": "Paid",
        "description": "Long",
        "tags": ["billing", "billing", 7],
        "deprecated": True,
    }
    item = webhook(schema, **operation)
    item["post"]["requestBody"]["content"]["application/json"]["examples"] = {"a": {"value": {"id": 1}}}
    (found,) = read_document(document({"invoice.paid": item}))
    assert found == Found(
        "invoice.paid", "invoice.paid", schema, {"id": 1}, "Paid", "Long", ("billing",), deprecated=True
    )


def test_of_an_envelope_the_data_is_taken_and_the_name_that_its_type_says() -> None:
    found = read_one(envelope({"const": "invoice.settled"}, {"type": "integer"}))
    assert (found.name, found.schema) == ("invoice.settled", {"type": "integer"})
    assert read_one(envelope({"enum": ["a.b"]}, True)).name == "a.b"
    assert read_one(envelope({"type": "string"}, True)).name == "invoice.paid"


def test_an_envelope_may_be_put_together() -> None:
    base = envelope({"type": "string"}, {})
    del base["properties"]["data"]
    found = read_one(
        {
            "allOf": [
                {"$ref": "#/components/schemas/Base"},
                {"properties": {"type": {"const": "a.b"}, "data": {"$ref": "#/components/schemas/D"}}},
            ]
        },
        schemas={"Base": base, "D": {"type": "null"}},
    )
    assert found.errors == ()
    assert found.name == "a.b"
    assert compile_schema(found.schema).errors(None) == []
    assert compile_schema(found.schema).errors(1)


def test_an_object_with_type_and_data_only_is_no_envelope() -> None:
    schema = {"properties": {"type": {"const": "card"}, "data": {}}}
    assert (read_one(schema).schema, read_one(schema).name) == (schema, "invoice.paid")


def test_an_example_of_an_envelope_is_its_data() -> None:
    item = webhook(envelope({}, {"type": "integer"}))
    item["post"]["requestBody"]["content"]["application/json"]["example"] = {"type": "a", "data": 4}
    assert read_document(document({"a": item}))[0].example == 4


def test_components_are_carried_along_with_what_they_refer_to() -> None:
    found = read_one(
        {"$ref": "#/components/schemas/Invoice"},
        schemas={
            "Invoice": {"properties": {"lines": {"items": {"$ref": "#/components/schemas/Line"}}}},
            "Line": {"properties": {"parent": {"$ref": "#/components/schemas/Invoice"}, "n": {"$ref": "#/components/schemas/Numbers/properties/n"}}},
            "Numbers": {"properties": {"n": {"type": "integer"}}},
            "Unused": {},
        },
    )  # fmt: skip
    assert found.schema["$ref"] == "#/$defs/Invoice"
    assert set(found.schema["$defs"]) == {"Invoice", "Line", "Numbers"}
    validator = compile_schema(found.schema)
    assert validator.errors({"lines": [{"n": 1, "parent": {"lines": []}}]}) == []
    assert [one.path for one in validator.errors({"lines": [{"parent": {"lines": [{"n": ""}]}}]})] == [
        "data.lines.0.parent.lines.0.n"
    ]


def test_names_with_special_characters_are_found() -> None:
    found = read_one({"$ref": "#/components/schemas/a~1b%20c"}, schemas={"a/b c": {"type": "null"}})
    assert compile_schema(found.schema).errors(None) == []


def test_path_items_and_request_bodies_may_be_references() -> None:
    made = document(
        {"a": {"$ref": "#/components/pathItems/p"}},
        pathItems={"p": {"post": {"requestBody": {"$ref": "#/components/requestBodies/b"}}}},
        requestBodies={"b": {"content": {"application/vnd.acme+json; v=1": {"schema": {"type": "null"}}}}},
    )
    assert read_document(made)[0].schema == {"type": "null"}


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({}, "no `post` operation"),
        (7, "not an object"),
        ({"post": {}}, "no request body"),
        ({"post": {"requestBody": {}}}, "without content"),
        (webhook({}, "text/plain"), "no JSON body"),
        ({"post": {"requestBody": {"content": {"application/json": {}}}}}, "no schema"),
        (webhook({"$ref": "#/components/schemas/none"}), "not in this document"),
        (webhook({"$ref": "https://example.com/a.json"}), "not in this document"),
        (webhook({"items": {"$ref": "https://example.com/a.json"}}), "only #/components/schemas"),
        (webhook({"items": {"$ref": "#/components/responses/a"}}), "only #/components/schemas"),
        ({"$ref": "#/webhooks/a.b"}, "refers to itself"),
        (webhook({"$defs": {"X": {}}, "$ref": "#/components/schemas/X"}), "`$defs`"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_read_is_told_and_the_rest_is_taken(item: Any, said: str) -> None:
    first, second = read_document(document({"a.b": item, "c.d": webhook(True)}, schemas={"X": {}}))
    (error,) = first.errors
    assert error.path == "document.webhooks.a.b"
    assert said in error.message
    assert (second.name, second.errors) == ("c.d", ())


def test_a_name_that_no_event_can_have_is_refused() -> None:
    (found,) = read_document(document({"invoice paid": webhook(True)}))
    assert "dotted words" in found.errors[0].message


def test_two_webhooks_of_one_event_type_are_not_guessed_between() -> None:
    same = webhook(envelope({"const": "a.b"}, True))
    first, second = read_document(document({"one": same, "two": same}))
    assert (first.name, first.errors) == ("a.b", ())
    assert "as is one" in second.errors[0].message


@pytest.mark.parametrize(
    ("made", "path"),
    [
        ({}, "document.openapi"),
        ({"openapi": "3.0.3", "webhooks": {"a": {}}}, "document.openapi"),
        ({"openapi": 3.1}, "document.openapi"),
        ({"openapi": "3.1.0"}, "document.webhooks"),
        ({"openapi": "3.1.0", "webhooks": {}}, "document.webhooks"),
        ({"openapi": "3.1.0", "webhooks": {f"a{n}": {} for n in range(1001)}}, "document.webhooks"),
        ({"openapi": "3.1.0", "webhooks": {"a": {}}, "jsonSchemaDialect": "http://json-schema.org/draft-07/schema#"}, "document.jsonSchemaDialect"),
        ({"openapi": "3.1.0", "webhooks": {"a": {}}, "jsonSchemaDialect": []}, "document.jsonSchemaDialect"),
    ],
    ids=["nothing", "3.0", "number", "no-webhooks", "empty", "many", "draft-07", "list"],
)  # fmt: skip
def test_another_document_is_refused(made: dict[str, Any], path: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_document(made)
    assert [fault.path for fault in caught.value.fields] == [path]


def test_a_small_document_cannot_grow_without_bound() -> None:
    big = {"properties": {f"p{n}": {"type": "string"} for n in range(5000)}}
    fan = {f"f{n}": {"allOf": [{"$ref": f"#/components/schemas/f{n + 1}"}] * 20} for n in range(40)} | {
        "f40": {}
    }
    webhooks = {f"w{n}": webhook({"$ref": "#/components/schemas/Big"}) for n in range(500)}
    started = time.thread_time()
    found = read_document(
        document(
            {"fan": webhook({"$ref": "#/components/schemas/f0"}), **webhooks}, schemas={"Big": big, **fan}
        )
    )
    assert time.thread_time() - started < 3
    assert found[1].errors == ()
    assert "in parts" in found[-1].errors[0].message
