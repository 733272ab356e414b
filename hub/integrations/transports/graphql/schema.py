"""A service's schema, from SDL or from the answer to an introspection query.

It is taken as it is: whether the schema itself is a good one is its service's business, and the checks of that grow
with the product of its parts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from graphql import (
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    ListTypeNode,
    NonNullTypeNode,
    build_ast_schema,
    build_client_schema,
    is_required_input_field,
)

from hub.integrations.transports.graphql.shapes import (
    Choice,
    Fields,
    ListOf,
    Member,
    Required,
    Scalar,
    Shape,
)
from hub.integrations.transports.graphql.source import Unreadable, parsed
from hub.integrations.transports.remembered import Remembered

if TYPE_CHECKING:
    from graphql import NamedTypeNode, TypeNode

#: About 0.4 KB of memory each.
MAX_TOKENS = 200_000

# What is read from a schema is kept with each document, so schemas themselves are seldom needed.
_schemas: Remembered[Schema] = Remembered(MAX_TOKENS)
_LARGE = 1000


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema that can be used.

    Args:
        types: the schema itself.
        large: one of its lists of names is so long that looking for similar ones would take seconds.
    """

    types: GraphQLSchema
    large: bool


def schema_of(text: str, digest: bytes) -> Schema:
    """The schema.

    Args:
        text: SDL, or JSON with `__schema`, alone or inside `data`.
        digest: of the text.

    Raises:
        Unreadable: it is neither.
    """
    return _schemas.get(digest, lambda: _built(text))


def _built(text: str) -> tuple[Schema, int]:
    try:
        if text.lstrip()[:1] == "{":
            schema = build_client_schema(_introspection(text), assume_valid=True)
            weight = len(text) // 8
        else:
            read = parsed(text, MAX_TOKENS)
            schema, weight = build_ast_schema(read.document, assume_valid=True), read.tokens
        if schema.query_type is None:
            raise Unreadable(["it has no query type"])
        # Fields are read when they are first needed: a fault in them has to show now.
        longest = max(len(getattr(each, "fields", ())) for each in schema.type_map.values())
    except GraphQLError as error:
        raise Unreadable([error.message]) from None
    except RecursionError:
        raise Unreadable(["it is nested too deeply"]) from None
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise Unreadable([f"it cannot be used: {str(error)[:200]}"]) from None
    return Schema(schema, large=max(longest, len(schema.type_map)) > _LARGE), weight


def _introspection(text: str) -> Any:
    """What `build_client_schema` wants, of an answer that may have `data` around it."""
    value = json.loads(text)
    return value.get("data", value)


class Shapes:
    """Makes shapes of the types that one document names.

    Args:
        schema: where names are looked up; without one, only built-in scalars are checked.
    """

    def __init__(self, schema: GraphQLSchema | None) -> None:
        self._schema = schema
        self._known: dict[str, Shape] = {}
        self._unfilled: list[tuple[Fields, GraphQLInputObjectType]] = []

    @property
    def size(self) -> int:
        """How many names and members all of them have."""
        return sum(
            1 + len(getattr(shape, "members", ())) + len(getattr(shape, "values", ()))
            for shape in self._known.values()
        )

    def of_node(self, node: TypeNode) -> Shape:
        """The shape of a type as a document writes it, such as `[ID!]!`."""
        if isinstance(node, NonNullTypeNode):
            return Required(self.of_node(node.type))
        if isinstance(node, ListTypeNode):
            return ListOf(self.of_node(node.type))
        name = cast("NamedTypeNode", node).name.value
        found = self._schema.get_type(name) if self._schema else None
        shape = self._of_type(found) if found else Scalar(name)
        # Input objects contain one another, to any depth.
        while self._unfilled:
            fields, kind = self._unfilled.pop()
            for key, field in kind.fields.items():
                needed = is_required_input_field(field)
                fields.members[key] = Member(self._of_type(field.type), has_default=not needed)
        return shape

    def _of_type(self, kind: Any) -> Shape:
        if isinstance(kind, GraphQLNonNull):
            return Required(self._of_type(kind.of_type))
        if isinstance(kind, GraphQLList):
            return ListOf(self._of_type(kind.of_type))
        if kind.name not in self._known:
            self._known[kind.name] = self._named(kind)
        return self._known[kind.name]

    def _named(self, kind: Any) -> Shape:
        if isinstance(kind, GraphQLEnumType):
            return Choice(kind.name, frozenset(kind.values))
        if isinstance(kind, GraphQLInputObjectType):
            fields = Fields(kind.name, one_of=bool(getattr(kind, "is_one_of", False)))
            self._unfilled.append((fields, kind))
            return fields
        return Scalar(kind.name)
