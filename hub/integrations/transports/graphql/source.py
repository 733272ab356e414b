"""GraphQL text from outside, read without letting it run away.

The parser of graphql-core recurses once per level and builds some objects per token, so both are counted on the plain
tokens first, which costs a fraction of parsing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphql import GraphQLError, GraphQLSyntaxError, Lexer, Source, TokenKind, parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graphql import DocumentNode

MAX_DEPTH = 60
_SHOWN = 20

_OPENING = frozenset({TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L})
_CLOSING = frozenset({TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R})


class Unreadable(Exception):
    """A text that is no GraphQL, or breaks its rules.

    Args:
        faults: sentences, each with its place.
    """

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = list(faults)[:_SHOWN]
        super().__init__("; ".join(self.faults))


@dataclass(frozen=True, slots=True)
class Parsed:
    """A parsed text and the number of its tokens, which is what it costs to keep."""

    document: DocumentNode
    tokens: int


def parsed(text: str, max_tokens: int) -> Parsed:
    """Parse a document or a schema.

    Args:
        text: as given.
        max_tokens: its cap.

    Raises:
        Unreadable: not GraphQL, or over a cap.
    """
    source = Source(text)
    try:
        tokens = _count(source, max_tokens)
        return Parsed(parse(source), tokens)
    except GraphQLSyntaxError as error:
        raise Unreadable([placed(error)]) from None


def placed(error: GraphQLError) -> str:
    """A fault with the place that it names."""
    where = error.locations[0] if error.locations else None
    text = error.message.removeprefix("Syntax Error: ")
    return f"line {where.line}, column {where.column}: {text}" if where else text


def _count(source: Source, max_tokens: int) -> int:
    lexer = Lexer(source)
    depth = tokens = 0
    # The first comment of a run stands between two tokens; `lookahead` would keep a long run in memory.
    while (token := lexer.advance()).kind is not TokenKind.EOF:
        tokens += 1
        if tokens > max_tokens:
            raise Unreadable([f"line {token.line}: longer than {max_tokens} tokens"])
        if token.kind in _OPENING:
            depth += 1
            if depth > MAX_DEPTH:
                raise Unreadable(
                    [f"line {token.line}, column {token.column}: nested deeper than {MAX_DEPTH} levels"]
                )
        elif token.kind in _CLOSING:
            depth -= 1
        # Tokens are a linked list; what was counted need not stay.
        token.prev = None
    return tokens
