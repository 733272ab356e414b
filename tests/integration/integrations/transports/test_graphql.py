from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from graphql import get_introspection_query

from hub.core.secret import Secret
from hub.integrations.auth.bearer import MODE as BEARER
from hub.integrations.auth.mode import Credentials
from hub.integrations.transports.graphql import GraphqlTransport
from hub.integrations.transports.graphql.forms import GraphqlOperation, GraphqlSettings
from hub.integrations.transports.interface import Caps, Connection
from hub.net.outcome import ErrorClass, Outcome
from hub.net.policy import AddressPolicy
from hub.net.session import GuardedSession
from tests.integration.integrations.transports.conformance import LARGE_BYTES, Conformance
from tests.integration.integrations.transports.graphql_service import (
    BOOKS,
    TOKEN,
    GraphqlService,
    serving_graphql,
)

TRANSPORT = GraphqlTransport()
BOOKS_QUERY = """
query Books($first: Int, $after: String) {
  shelf { books(first: $first, after: $after) { ...Page } }
}
fragment Page on BookConnection { pageInfo { hasNextPage endCursor } edges { cursor node { id title } } }
"""
ADD = "mutation($book: NewBook!) { add(book: $book) }"
PAGES = {"connection": "shelf.books", "page_size": 7}


@pytest.fixture(scope="module")
def running() -> Iterator[GraphqlService]:
    logging.getLogger("strawberry.execution").setLevel(logging.CRITICAL)
    with serving_graphql() as service:
        yield service


@pytest.fixture
def service(running: GraphqlService) -> GraphqlService:
    running.calls.clear()
    return running


@pytest.fixture
def session() -> Iterator[GuardedSession]:
    made = GuardedSession(AddressPolicy(allow=["127.0.0.0/8"], ports=[0]))
    yield made
    made.close()


@pytest.fixture
def connection(service: GraphqlService) -> Connection:
    return Connection(
        id=UUID(int=1),
        tenant_id=UUID(int=2),
        base_url=service.url,
        headers={},
        settings=GraphqlSettings(path="/"),
        operations={
            "books": GraphqlOperation(document=BOOKS_QUERY, pagination=PAGES),
            "few_books": GraphqlOperation(document=BOOKS_QUERY, pagination={**PAGES, "max_pages": 2}),
            "add": GraphqlOperation(document=ADD, idempotency_key="Idempotency-Key"),
        },
        follow_redirects=0,
        tls=None,
        pool_key="key",
    )


def call(
    session: GuardedSession,
    connection: Connection,
    operation: str,
    given: dict[str, Any],
    credentials: Credentials | None = None,
    caps: Caps | None = None,
) -> Outcome:
    prepared = TRANSPORT.prepare(connection, operation, given)
    return TRANSPORT.send(
        session, connection, prepared, credentials or Credentials(), caps or Caps(timeout=10)
    )


def bearer(token: str) -> Credentials:
    secrets = {"token": Secret(token)}
    assert BEARER.sign is not None
    return Credentials("bearer", {}, secrets, BEARER.sign({}, secrets))


class TestConformance(Conformance):
    transport = TRANSPORT
    scheme = "http"
    path = "/graphql"
    settings = GraphqlSettings(path="/")
    operations: ClassVar = {"get": GraphqlOperation(document="query($size: Int!) { viewer(size: $size) }")}
    small = ("get", {"variables": {"size": 5}})
    large = ("get", {"variables": {"size": LARGE_BYTES + 1}})
    good = bearer(TOKEN)
    bad = bearer("canary-wrong-token-0123456789")

    @pytest.fixture(scope="class")
    @classmethod
    def port(cls, running: GraphqlService) -> int:
        return urlsplit(running.url).port or 0


def test_a_query_is_answered(session: GuardedSession, connection: Connection) -> None:
    outcome = call(
        session,
        connection,
        "query",
        {"document": "query($name: String!) { hello(name: $name) }", "variables": {"name": "Zoë"}},
    )
    assert outcome.ok
    assert json.loads(outcome.body) == {"data": {"hello": "Hello Zoë"}}


def test_a_mutation_carries_its_key(
    session: GuardedSession, connection: Connection, service: GraphqlService
) -> None:
    caps = Caps(timeout=10, idempotency_key="the-key")
    outcome = call(session, connection, "add", {"variables": {"book": {"title": "New"}}}, caps=caps)
    assert json.loads(outcome.body) == {"data": {"add": "New"}}
    assert service.headers[-1]["Idempotency-Key"] == "the-key"


def test_the_operation_of_the_name_is_run(session: GuardedSession, connection: Connection) -> None:
    given = {"document": "query A { hello } query B { b: hello }", "operation_name": "B"}
    assert json.loads(call(session, connection, "query", given).body) == {"data": {"b": "Hello you"}}


def test_credentials_are_applied_and_refused_ones_are_told(
    session: GuardedSession, connection: Connection
) -> None:
    given = {"document": "{ viewer }"}
    assert call(session, connection, "query", given, bearer(TOKEN)).ok
    refused = call(session, connection, "query", given, bearer("wrong-token"))
    assert refused.error_class is ErrorClass.UNAUTHORIZED
    assert refused.message == "The service answered: Who are you? (at viewer, UNAUTHENTICATED)."
    assert "wrong-token" not in repr(refused)


def test_partial_data_is_kept_where_the_settings_say_so(
    session: GuardedSession, connection: Connection
) -> None:
    given = {"document": "{ hello broken }"}
    failed = call(session, connection, "query", given)
    assert failed.error_class is ErrorClass.PROVIDER_ERROR
    assert "It broke (at broken, BROKEN)" in failed.message
    assert json.loads(failed.body)["data"] == {"hello": "Hello you", "broken": None}
    keeping = replace(connection, settings=GraphqlSettings(path="/", partial="keep"))
    assert call(session, keeping, "query", given).ok


def test_a_throttled_query_is_rate_limited(session: GuardedSession, connection: Connection) -> None:
    outcome = call(session, connection, "query", {"document": "{ throttled }"})
    assert outcome.error_class is ErrorClass.RATE_LIMITED


def test_a_document_that_the_service_refuses_is_its_error(
    session: GuardedSession, connection: Connection
) -> None:
    outcome = call(session, connection, "query", {"document": "{ nope }"})
    assert outcome.error_class is ErrorClass.PROVIDER_ERROR
    assert "Cannot query field 'nope'" in outcome.message


def test_a_connection_is_read_to_its_end(
    session: GuardedSession, connection: Connection, service: GraphqlService
) -> None:
    outcome = call(session, connection, "books", {})
    assert outcome.ok
    books = json.loads(outcome.body)["data"]["shelf"]["books"]
    assert [edge["node"]["title"] for edge in books["edges"]] == [f"Book {n}" for n in range(BOOKS)]
    assert books["pageInfo"]["hasNextPage"] is False
    assert [each["variables"].get("after") for each in service.calls] == [
        None,
        *(books["edges"][n]["cursor"] for n in (6, 13, 20)),
    ]


def test_pages_end_at_their_cap_and_can_be_gone_on_with(
    session: GuardedSession, connection: Connection
) -> None:
    first = json.loads(call(session, connection, "few_books", {}).body)["data"]["shelf"]["books"]
    assert (len(first["edges"]), first["pageInfo"]["hasNextPage"]) == (14, True)
    given = {"variables": {"after": first["pageInfo"]["endCursor"]}}
    second = json.loads(call(session, connection, "few_books", given).body)["data"]["shelf"]["books"]
    assert second["edges"][0]["node"]["title"] == "Book 14"


def test_the_byte_cap_is_over_all_pages(session: GuardedSession, connection: Connection) -> None:
    one = len(call(session, connection, "query", {"document": BOOKS_QUERY, "variables": {"first": 7}}).body)
    outcome = call(session, connection, "books", {}, caps=Caps(timeout=10, max_bytes=one * 2))
    assert outcome.error_class is ErrorClass.TOO_LARGE
    assert f"longer than {one * 2} bytes" in outcome.message


def test_a_probe_proves_that_the_service_is_there(session: GuardedSession, connection: Connection) -> None:
    assert TRANSPORT.probe(session, connection, Credentials(), Caps(timeout=10)).ok
    elsewhere = replace(connection, settings=GraphqlSettings(path="/nowhere"))
    probed = TRANSPORT.probe(session, elsewhere, Credentials(), Caps(timeout=10))
    assert (probed.status, probed.error_class) == (404, ErrorClass.HTTP_4XX)


@pytest.mark.parametrize("kind", ["introspected", "printed"])
def test_the_services_schema_serves_to_check_documents(
    session: GuardedSession, connection: Connection, service: GraphqlService, kind: str
) -> None:
    schema = service.schema.as_str()
    if kind == "introspected":
        document = get_introspection_query(descriptions=False)
        outcome = call(session, connection, "query", {"document": document}, caps=Caps(timeout=10))
        assert outcome.ok
        schema = outcome.body.decode()
    settings = GraphqlSettings(schema_text=schema)
    assert TRANSPORT.settings_faults(settings, connection.base_url) == []
    good = connection.operations["books"]
    assert TRANSPORT.operation_faults(good, settings, "operations.books") == []
    bad = GraphqlOperation(document=ADD, variables={"book": {"title": 7, "page": 1}})
    faults = {fault.path for fault in TRANSPORT.operation_faults(bad, settings, "operations.add")}
    assert faults == {"operations.add.variables.book.title", "operations.add.variables.book.page"}
