from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from hub.core.errors import Invalid
from hub.integrations.transports.graphql import GraphqlTransport
from hub.integrations.transports.graphql.forms import GraphqlOperation, GraphqlSettings
from hub.integrations.transports.interface import Connection, Prepared

TRANSPORT = GraphqlTransport()
SCHEMA = "type Query { user(id: ID!): String } type Mutation { rename(id: ID!, to: String): String }"
GET = GraphqlOperation(document="query($id: ID!) { user(id: $id) }")
RENAME = GraphqlOperation(
    document="mutation($id: ID!, $to: String) { rename(id: $id, to: $to) }",
    variables={"to": "x"},
    headers={"X-A": "operation"},
    idempotency_key="Idempotency-Key",
)


def connection(**settings: Any) -> Connection:
    return Connection(
        id=UUID(int=1),
        tenant_id=UUID(int=2),
        base_url="https://api.example.com/graphql",
        headers={"X-A": "integration", "X-B": "integration"},
        settings=GraphqlSettings(**{"schema": SCHEMA, **settings}),
        operations={"get": GET, "rename": RENAME},
        follow_redirects=0,
        tls=None,
        pool_key="key",
    )


def prepare(operation: str, given: Any, **settings: Any) -> Prepared:
    return TRANSPORT.prepare(connection(**settings), operation, given)


def fault_paths(operation: str, given: Any) -> set[str]:
    with pytest.raises(Invalid) as caught:
        prepare(operation, given)
    return {fault.path for fault in caught.value.fields}


def test_a_query_is_safe_and_a_mutation_is_not() -> None:
    query = prepare("get", {"variables": {"id": 7}})
    assert (query.method, query.safe, query.idempotent) == ("QUERY", True, True)
    mutation = prepare("query", {"document": 'mutation { rename(id: 1, to: "x") }'})
    assert (mutation.method, mutation.safe, mutation.idempotent) == ("MUTATION", False, False)
    assert prepare("rename", {"variables": {"id": 7}}).idempotent, "a key goes with it"


def test_what_will_be_sent_is_shown() -> None:
    prepared = prepare("rename", {"variables": {"id": 7}, "headers": {"x-b": "input"}}, path="/")
    assert prepared.endpoint == "https://api.example.com/graphql/"
    assert prepared.payload["variables"] == {"id": 7, "to": "x"}
    assert prepared.headers["X-A"] == "operation"
    assert prepared.headers["x-b"] == "input"
    assert prepared.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("operation", "given", "paths"),
    [
        ("get", [], {"input"}),
        ("get", {}, {"input.variables.id"}),
        ("get", {"variables": {"id": 1.5, "x": 1}}, {"input.variables.id", "input.variables.x"}),
        (
            "get",
            {"variables": [], "document": "{a}"},
            {"input.variables", "input.document", "input.variables.id"},
        ),
        ("get", {"variables": {"id": 1}, "headers": {"Authorization": "x"}}, {"input.headers.Authorization"}),
        ("get", {"variables": {"id": 1}, "headers": {"content-type": "x"}}, {"input.headers.content-type"}),
        ("get", {"variables": {"id": "\ud800"}}, {"input.variables"}),
        ("nope", {}, {"operation"}),
        ("query", {}, {"input.document"}),
        ("query", {"document": "{"}, {"input.document"}),
        ("query", {"document": "{ nope }"}, {"input.document"}),
        ("query", {"document": 7, "operation_name": "a b"}, {"input.document", "input.operation_name"}),
        ("query", {"document": "x" * 70_000}, {"input.document"}),
    ],
    ids=range(13),
)
def test_a_wrong_input_is_refused_with_every_fault(operation: str, given: Any, paths: set[str]) -> None:
    assert fault_paths(operation, given) == paths


def test_variables_that_are_too_deep_to_send_are_refused() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    document = "query($x: Anything) { user(id: $x) }"
    with pytest.raises(Invalid):
        prepare("query", {"document": document, "variables": {"x": deep}}, schema=None)


def test_operations_are_judged_when_they_are_saved() -> None:
    operation = GraphqlOperation(
        document="mutation($id: ID!) { rename(id: $id) { a } }", headers={"Cookie": "x", "Content-Type": "y"}
    )
    faults = TRANSPORT.operation_faults(operation, GraphqlSettings(schema_text=SCHEMA), "operations.x")
    assert {fault.path for fault in faults} == {
        "operations.x.headers.Cookie",
        "operations.x.headers.Content-Type",
        "operations.x.document",
    }
    operation = GraphqlOperation(
        document="mutation($id: ID!) { rename(id: $id) }",
        variables={"id": [], "to": 1},
        safe=True,
        idempotency_key="Host",
        pagination={"connection": "rename"},
    )
    faults = TRANSPORT.operation_faults(operation, None, "operations.x")
    assert {fault.path for fault in faults} == {
        "operations.x.variables.id",
        "operations.x.variables.to",
        "operations.x.safe",
        "operations.x.idempotency_key",
        "operations.x.pagination",
    }
    assert TRANSPORT.operation_faults(RENAME, GraphqlSettings(schema_text=SCHEMA), "operations.x") == []


def test_a_schema_that_is_wrong_is_one_fault_of_the_settings() -> None:
    settings = GraphqlSettings(schema_text="type Query {")
    assert [fault.path for fault in TRANSPORT.settings_faults(settings, "")] == ["settings.schema"]
    assert TRANSPORT.operation_faults(GET, settings, "operations.x") == []


def test_settings_come_back_as_they_were_stored() -> None:
    stored = GraphqlSettings(schema_text=SCHEMA).model_dump(mode="json", exclude_unset=True)
    assert stored == {"schema": SCHEMA}
    assert GraphqlSettings(**stored).schema_text == SCHEMA
