"""A GraphQL service that strawberry makes, served by Flask and waitress on a free port of loopback."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import strawberry
from flask import Flask, request
from graphql import GraphQLError
from strawberry import relay
from strawberry.flask.views import GraphQLView
from werkzeug.datastructures import Headers

from tests.integration.integrations.auth.served import serving

TOKEN = "canary-token-of-the-graphql-service"
BOOKS = 25


@strawberry.type
class Book(relay.Node):
    number: relay.NodeID[int]
    title: str

    @classmethod
    def resolve_nodes(cls, *, info: Any, node_ids: Iterable[str], required: bool = False) -> list[Book]:
        return [Book(number=int(each), title=f"Book {each}") for each in node_ids]


@strawberry.type
class Shelf:
    @relay.connection(relay.ListConnection[Book])  # type: ignore[untyped-decorator]
    def books(self) -> Iterable[Book]:
        return [Book(number=number, title=f"Book {number}") for number in range(BOOKS)]


@strawberry.input
class NewBook:
    title: str
    pages: int | None = None


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "you") -> str:
        return f"Hello {name}"

    @strawberry.field
    def viewer(self, size: int = 0) -> str:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise GraphQLError("Who are you?", extensions={"code": "UNAUTHENTICATED"})
        return "x" * size or "somebody"

    @strawberry.field
    def header(self, name: str) -> str | None:
        return request.headers.get(name)

    @strawberry.field
    def broken(self) -> str | None:
        raise GraphQLError("It broke", extensions={"code": "BROKEN"})

    @strawberry.field
    def throttled(self) -> str:
        raise GraphQLError("Too much", extensions={"code": "THROTTLED"})

    @strawberry.field
    def shelf(self) -> Shelf:
        return Shelf()

    @strawberry.field
    def nothing(self) -> Shelf | None:
        return None


@strawberry.type
class Mutation:
    @strawberry.mutation
    def add(self, book: NewBook) -> str:
        return book.title


@dataclass
class GraphqlService:
    """The running service."""

    url: str
    calls: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Headers] = field(default_factory=list)
    schema: strawberry.Schema = field(default_factory=lambda: strawberry.Schema(Query, Mutation))


@contextmanager
def serving_graphql() -> Iterator[GraphqlService]:
    """Run one."""
    service = GraphqlService("")
    app = Flask(__name__)

    def note() -> None:
        service.calls.append(request.get_json(silent=True) or {})
        service.headers.append(request.headers)

    app.before_request(note)
    app.add_url_rule("/graphql/", view_func=GraphQLView.as_view("graphql", schema=service.schema))
    with serving(app) as served:
        service.url = f"{served.url}/graphql"
        yield service
