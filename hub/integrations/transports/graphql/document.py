"""A GraphQL document: what is wrong with it, and what a call needs to know of it.

Promises: a hostile document costs no more than its caps allow; faults name line and column; what is kept of a document
is small, for its tree is dropped. Leaves to others: values of variables (`shapes`), and conflicts between fields of
one name, which the service finds itself (that check grows with the square of the document).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphql import (
    ExecutableDefinitionsRule,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    KnownFragmentNamesRule,
    LoneAnonymousOperationRule,
    NoFragmentCyclesRule,
    NoUndefinedVariablesRule,
    NoUnusedFragmentsRule,
    NoUnusedVariablesRule,
    OperationDefinitionNode,
    OperationType,
    OverlappingFieldsCanBeMergedRule,
    UniqueArgumentNamesRule,
    UniqueFragmentNamesRule,
    UniqueInputFieldNamesRule,
    UniqueOperationNamesRule,
    UniqueVariableNamesRule,
    build_schema,
    specified_rules,
    validate,
)

from hub.integrations.transports.graphql.schema import Schema, Shapes, schema_of
from hub.integrations.transports.graphql.shapes import Variable
from hub.integrations.transports.graphql.source import Unreadable, parsed, placed
from hub.integrations.transports.remembered import Remembered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from graphql import DocumentNode, SelectionSetNode

    from hub.integrations.transports.graphql.forms import GraphqlSettings, RelayPages

MAX_TOKENS = 10_000
MAX_DEFINITIONS = 100

_MAX_FAULTS = 20
_KEPT_CHARACTERS = 4 * 1_048_576

_WITH_SCHEMA = [rule for rule in specified_rules if rule is not OverlappingFieldsCanBeMergedRule]
_WITHOUT_SCHEMA = [
    ExecutableDefinitionsRule,
    UniqueOperationNamesRule,
    LoneAnonymousOperationRule,
    UniqueFragmentNamesRule,
    KnownFragmentNamesRule,
    NoUnusedFragmentsRule,
    NoFragmentCyclesRule,
    UniqueVariableNamesRule,
    NoUndefinedVariablesRule,
    NoUnusedVariablesRule,
    UniqueArgumentNamesRule,
    UniqueInputFieldNamesRule,
]
# The validator wants a schema even for rules that never look at it.
_NO_SCHEMA = build_schema("type Query { none: Int }")


@dataclass(frozen=True, slots=True)
class Document:
    """One operation of a document.

    Args:
        kind: `query` or `mutation`.
        name: the operation's; None when it has none.
        single: it asks for one thing, so that one error tells of all.
        variables: what it declares.
        pages_fault: why its answer cannot be paged through; empty when it can, or nobody asked.
    """

    kind: str
    name: str | None
    single: bool
    variables: Mapping[str, Variable]
    pages_fault: str = ""


_documents: Remembered[Document] = Remembered(_KEPT_CHARACTERS)


def read(
    text: str, operation_name: str | None, settings: GraphqlSettings | None, pages: RelayPages | None = None
) -> Document:
    """Read a document.

    Args:
        text: of it.
        operation_name: which of its operations; None when it has one.
        settings: the integration's, for the schema; None when they are at fault.
        pages: how its answer is to be paged through.

    Raises:
        Unreadable: with every fault that was found.
    """
    digest = settings.schema_digest if settings and settings.schema_text else b""
    key = (digest, text, operation_name, pages.model_dump_json() if pages else "")

    def make() -> tuple[Document, int]:
        schema = schema_of(settings.schema_text, digest) if settings and settings.schema_text else None
        shapes = Shapes(schema.types if schema else None)
        document = _read(text, operation_name, schema, shapes, pages)
        return document, 1000 + len(text) + 200 * (shapes.size + len(document.variables))

    return _documents.get(key, make)


def _read(
    text: str, name: str | None, schema: Schema | None, shapes: Shapes, pages: RelayPages | None
) -> Document:
    tree = parsed(text, MAX_TOKENS).document
    if len(tree.definitions) > MAX_DEFINITIONS:
        raise Unreadable([f"more than {MAX_DEFINITIONS} operations and fragments"])
    faults = [
        placed(error)
        for error in validate(
            schema.types if schema else _NO_SCHEMA,
            tree,
            _WITH_SCHEMA if schema else _WITHOUT_SCHEMA,
            max_errors=_MAX_FAULTS,
            hide_suggestions=schema is not None and schema.large,
        )
    ]
    if faults:
        raise Unreadable(faults)
    chosen = _chosen(tree, name)
    variables = {
        each.variable.name.value: Variable(
            shapes.of_node(each.type), has_default=each.default_value is not None
        )
        for each in chosen.variable_definitions or ()
    }
    fragments = {
        each.name.value: each for each in tree.definitions if isinstance(each, FragmentDefinitionNode)
    }
    root = chosen.selection_set.selections
    return Document(
        kind=chosen.operation.value,
        name=name,
        single=len(root) == 1 and isinstance(root[0], FieldNode),
        variables=variables,
        pages_fault=_pages_fault(pages, chosen, variables, fragments) if pages else "",
    )


def _chosen(tree: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = [each for each in tree.definitions if isinstance(each, OperationDefinitionNode)]
    names = [each.name.value if each.name else "(unnamed)" for each in operations]
    if name is not None:
        found = [each for each in operations if each.name and each.name.value == name]
        if not found:
            raise Unreadable([f"has no operation {name}; it has {', '.join(names) or 'none'}"])
    elif len(operations) != 1:
        hint = "say which one in operation_name" if operations else "it needs a query or a mutation"
        raise Unreadable([f"has {len(operations)} operations ({', '.join(names) or 'none'}): {hint}"])
    else:
        found = operations
    if found[0].operation is OperationType.SUBSCRIPTION:
        raise Unreadable(["is a subscription; only queries and mutations can be called"])
    return found[0]


def _pages_fault(  # noqa: PLR0911 - one line a case
    pages: RelayPages,
    chosen: OperationDefinitionNode,
    variables: Mapping[str, Variable],
    fragments: Mapping[str, FragmentDefinitionNode],
) -> str:
    if chosen.operation is not OperationType.QUERY:
        return "only a query can be paged through"
    if pages.after not in variables:
        return f"the document declares no variable ${pages.after}, in which the cursor goes out"
    if pages.page_size is not None and pages.first not in variables:
        return f"the document declares no variable ${pages.first}, in which page_size goes out"
    here = [chosen.selection_set]
    for key in pages.connection.split("."):
        here = _below(here, key, fragments)
        if not here:
            return f"the document does not ask for {key} of {pages.connection}"
    info = {
        field.name.value for each in _below(here, "pageInfo", fragments) for field in _fields(each, fragments)
    }
    if not {"hasNextPage", "endCursor"} <= info:
        return f"the document must ask for pageInfo {{ hasNextPage endCursor }} at {pages.connection}"
    if not (_below(here, "nodes", fragments) or _below(here, "edges", fragments)):
        return f"the document must ask for nodes or edges at {pages.connection}"
    return ""


def _below(
    sets: list[SelectionSetNode], key: str, fragments: Mapping[str, FragmentDefinitionNode]
) -> list[SelectionSetNode]:
    """The selections under the fields that answer with this key."""
    return [
        field.selection_set
        for each in sets
        for field in _fields(each, fragments)
        if (field.alias or field.name).value == key and field.selection_set is not None
    ]


def _fields(root: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]) -> Iterator[FieldNode]:
    """The fields of a selection, those of its fragments among them; each fragment once."""
    seen: set[str] = set()
    waiting = [root]
    while waiting:
        for item in waiting.pop().selections:
            if isinstance(item, FieldNode):
                yield item
            elif isinstance(item, InlineFragmentNode):
                waiting.append(item.selection_set)
            elif isinstance(item, FragmentSpreadNode) and item.name.value not in seen:
                seen.add(item.name.value)
                if (fragment := fragments.get(item.name.value)) is not None:
                    waiting.append(fragment.selection_set)
