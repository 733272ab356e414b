from __future__ import annotations

import json
import time

import pytest
from graphql import build_schema, introspection_from_schema

from hub.integrations.transports.graphql.document import MAX_DEFINITIONS, read
from hub.integrations.transports.graphql.forms import GraphqlSettings, RelayPages
from hub.integrations.transports.graphql.schema import schema_of
from hub.integrations.transports.graphql.source import Unreadable

SCHEMA = """
type Query { user(id: ID!): User me: User }
type Mutation { rename(id: ID!, name: String!): User }
type Subscription { renamed: User }
type User { id: ID! name: String friends(first: Int, after: String): Friends }
type Friends { nodes: [User] pageInfo: PageInfo }
type PageInfo { hasNextPage: Boolean! endCursor: String }
"""
PAGED = "query($first: Int, $after: String) { me { friends(first: $first, after: $after) { %s } } }"


def faults(text: str, name: str | None = None, schema: str | None = None) -> list[str]:
    with pytest.raises(Unreadable) as caught:
        read(text, name, GraphqlSettings(schema_text=schema))
    return caught.value.faults


def test_a_document_says_what_a_call_needs() -> None:
    found = read('mutation($id: ID!) { rename(id: $id, name: "x") { id } }', None, None)
    assert (found.kind, found.single, list(found.variables)) == ("mutation", True, ["id"])


def test_several_fields_or_a_fragment_are_not_one_thing() -> None:
    assert not read("{ a b }", None, None).single
    assert not read("{ ...F } fragment F on Query { a b }", None, None).single


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{ a", "line 1, column 4: Expected Name, found <EOF>."),
        ("\n  { a(b: ) }", "line 2, column 10: Unexpected ')'."),
        ("{ a } }", "line 1, column 7"),
        ("", "line 1, column 1"),
        ("subscription { a }", "is a subscription"),
        ("fragment F on Query { a }", "is never used"),
        ("query A { a } query B { b }", "has 2 operations (A, B): say which one in operation_name"),
        ("query A { a } { b }", "anonymous operation must be the only"),
        ("{ a(b: $b) }", "Variable '$b' is not defined."),
        ("query($b: Int) { a }", "Variable '$b' is never used."),
        ("{ ...F }", "Unknown fragment 'F'."),
        ("{ ...F } fragment F on A { ...F }", "Cannot spread fragment 'F' within itself."),
        ("type Query { a: Int }", "definition is not executable"),
    ],
)
def test_a_wrong_document_is_refused_with_a_reason(text: str, says: str) -> None:
    assert says in " ".join(faults(text))


def test_an_operation_is_chosen_by_its_name() -> None:
    text = "query A { a } mutation B { b }"
    assert read(text, "B", None).kind == "mutation"
    assert faults(text, "C") == ["has no operation C; it has A, B"]
    assert faults("subscription S { a } query A { a }", "S")[0].startswith("is a subscription")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{ user { id } }", "line 1, column 3: Argument 'Query.user(id:)' of type 'ID!' is required"),
        ("{ me { nam } }", "Did you mean 'name'?"),
        ("{ me }", "must have a selection of subfields"),
        ("query($id: Int) { user(id: $id) { id } }", "used in position expecting type 'ID!'"),
        ("query($id: Nope) { user(id: $id) { id } }", "Unknown type 'Nope'."),
        ("{ user(id: {a: 1}) { id } }", "ID cannot represent"),
    ],
)
def test_a_document_is_checked_against_the_schema(text: str, says: str) -> None:
    assert says in " ".join(faults(text, schema=SCHEMA))


def test_every_fault_is_named_at_once() -> None:
    assert len(faults("{ a: nope b: nada }", schema=SCHEMA)) == 2


def test_a_schema_may_be_the_answer_to_an_introspection_query() -> None:
    answer = {"data": introspection_from_schema(build_schema(SCHEMA))}
    for given in (answer, answer["data"], json.dumps(answer)):
        settings = GraphqlSettings.model_validate({"schema": given})
        assert read("{ me { name } }", None, settings).kind == "query"
        with pytest.raises(Unreadable, match="Cannot query field 'nope'"):
            read("{ nope }", None, settings)


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ("type Query {", "line 1, column 13"),
        ("type User { id: ID }", "has no query type"),
        ("type Query { a: Nope }", "Unknown type: 'Nope'"),
        ("{ a }", "cannot be used"),
        ('{"data": {"__schema": {}}}', "cannot be used"),
        ("[]", "line 1, column 1"),
        ('{"a":' * 3000, "cannot be used"),
        ("type Query { a: " + "[" * 100 + "Int" + "]" * 100 + " }", "nested deeper than 60 levels"),
    ],
    ids=range(8),
)
def test_a_schema_that_cannot_be_used_is_refused_with_a_reason(schema: str, says: str) -> None:
    settings = GraphqlSettings(schema_text=schema)
    with pytest.raises(Unreadable) as caught:
        schema_of(schema, settings.schema_digest)
    assert says in " ".join(caught.value.faults) or "nested too deeply" in " ".join(caught.value.faults)


_SIMILAR = "type Query { a: Int } " + " ".join(f"type Tabcdefgh{n} {{ a: Int }}" for n in range(5000))
_CHAIN = "".join(f"input I{n} {{ a: I{n + 1}! }} " for n in range(1500))
HOSTILE = {
    "selections": ("{a" * 5000 + "}" * 5000, None),
    "values": ("{ a(b: " + "[" * 20_000 + "]" * 20_000 + ") }", None),
    "types": ("query($a: " + "[" * 9000 + "Int" + "]" * 9000 + ") { a(b: $a) }", None),
    "tokens": ("{ " + "a " * 30_000 + "}", None),
    "definitions": ("".join(f"query Q{n} {{ a }} " for n in range(MAX_DEFINITIONS + 1)), None),
    "arguments": ("{ a(" + "b: 1 " * 15_000 + ") }", None),
    "fragments": (
        "{ ...F0 } " + "".join(f"fragment F{n} on Q {{ ...F{n + 1} ...F{n + 1} }} " for n in range(98)),
        None,
    ),
    "similar names": ("{" + "".join(f"...on Tabcdefghz{n} {{ a }}" for n in range(1500)) + "}", _SIMILAR),
}


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_a_hostile_document_ends_soon(kind: str) -> None:
    begun = time.process_time()
    text, schema = HOSTILE[kind]
    assert faults(text[:65_536], schema=schema)
    assert time.process_time() - begun < 5


def test_many_fields_of_one_name_are_no_work() -> None:
    begun = time.process_time()
    assert read("{ " + "me { id } " * 1900 + "}", None, GraphqlSettings(schema_text=SCHEMA)).kind == "query"
    assert time.process_time() - begun < 5


def test_a_long_chain_of_input_types_is_followed() -> None:
    schema = f"type Query {{ a(b: I0): Int }} {_CHAIN} input I1500 {{ a: Int }}"
    assert read("query($b: I0) { a(b: $b) }", None, GraphqlSettings(schema_text=schema)).variables


@pytest.mark.parametrize(
    ("selection", "connection", "says"),
    [
        ("nodes { id } pageInfo { hasNextPage endCursor }", "me.friends", ""),
        (
            (
                "...F } } } fragment F on Friends { edges { node { id } } pageInfo { ...P } } "
                "fragment P on PageInfo { hasNextPage endCursor } query B { me { a {b"
            ),
            "me.friends",
            "",
        ),
        (
            "nodes { id } pageInfo { hasNextPage }",
            "me.friends",
            "must ask for pageInfo { hasNextPage endCursor }",
        ),
        ("pageInfo { hasNextPage endCursor }", "me.friends", "must ask for nodes or edges"),
        ("nodes { id } pageInfo { hasNextPage endCursor }", "me.pals", "does not ask for pals"),
        ("nodes { id } p: pageInfo { hasNextPage endCursor }", "me.friends", "must ask for pageInfo"),
    ],
    ids=range(6),
)
def test_pages_need_their_connection_in_the_document(selection: str, connection: str, says: str) -> None:
    text = PAGED.replace("query(", "query A(") % selection
    found = read(text, "A", None, RelayPages(connection=connection))
    assert says in found.pages_fault
    assert bool(says) == bool(found.pages_fault)


def test_pages_need_their_variables() -> None:
    text = PAGED % "nodes { id } pageInfo { hasNextPage endCursor }"
    pages = RelayPages(connection="me.friends", after="cursor")
    assert "no variable $cursor" in read(text, None, None, pages).pages_fault
    pages = RelayPages(connection="me.friends", first="size", page_size=5)
    assert "no variable $size" in read(text, None, None, pages).pages_fault


def test_a_mutation_has_no_pages() -> None:
    text = "mutation($after: String) { a(b: $after) }"
    assert "only a query" in read(text, None, None, RelayPages(connection="a")).pages_fault
