"""The parts of a filter that was read: conditions on a path, and the groups that join them.

One rule for arrays: a condition on an array holds when the array itself or any of its elements satisfies it.
A path may lead to several values (see `hub.transforms.paths`); then any of them suffices. Each operator is a
condition for itself, so `{"$gt": 5, "$lt": 9}` may hold by two elements. `$ne`, `$nin` and `$exists: false`
are the exact opposite of `$eq`, `$in` and `$exists: true`: they hold as well where nothing is at the path.

Promises: judging never raises, and recurses no deeper than the filter is nested.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from hub.transforms.operators import MAX_SEARCHED_CHARACTERS
from hub.transforms.paths import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import re2

    from hub.transforms.paths import Path

_SHOWN_VALUES = 5
_SHOWN_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """How one condition or group of a filter judged a document.

    Attributes:
        at: its place in the filter.
        path: what it looks at; empty for a group.
        operator: `$gt`, `$and`, …
        expected: the operand as written; None for a group.
        found: up to 5 of the values at the path, long ones cut, arrays and objects summed up; empty when
            nothing is there.
        held: whether it holds.
    """

    at: str
    path: str
    operator: str
    expected: Any
    found: tuple[Any, ...]
    held: bool


class Node(Protocol):
    """A part of a filter."""

    def holds(self, document: Any) -> bool:
        """Whether it holds for a document."""
        ...

    def explain(self, document: Any) -> Iterator[Finding]:
        """Its finding, then those of its parts."""
        ...


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one path.

    Attributes:
        negated: it holds exactly when no value passes the test.
    """

    at: str
    path: Path
    names: tuple[str, ...]
    operator: str
    operand: Any
    test: Callable[[Any], bool]
    negated: bool

    def holds(self, document: Any) -> bool:
        """Whether it holds for a document."""
        value = document
        for name in self.names:
            if isinstance(value, dict):
                value = value.get(name, MISSING)
            elif isinstance(value, list):
                return any(self._passes(item) for item in self.path.values(document)) is not self.negated
            else:
                return self.negated
        return (value is not MISSING and self._passes(value)) is not self.negated

    def _passes(self, value: Any) -> bool:
        test = self.test
        return test(value) or (isinstance(value, list) and any(map(test, value)))

    def explain(self, document: Any) -> Iterator[Finding]:
        """Its one finding."""
        yield _finding(self, document)


@dataclass(frozen=True, slots=True)
class PatternCondition:
    """`$regex` on one path. It reads no more than 65,536 characters of a document; what is beyond is no match."""

    at: str
    path: Path
    operator: str
    operand: Any
    pattern: re2._Regexp

    def holds(self, document: Any) -> bool:
        """Whether it holds for a document."""
        left = MAX_SEARCHED_CHARACTERS
        for value in self.path.values(document):
            for text in value if isinstance(value, list) else (value,):
                if isinstance(text, str):
                    left -= len(text)
                    if left < 0:
                        return False
                    if self.pattern.search(text.encode(errors="surrogatepass")) is not None:
                        return True
        return False

    def explain(self, document: Any) -> Iterator[Finding]:
        """Its one finding."""
        yield _finding(self, document)


@dataclass(frozen=True, slots=True)
class All:
    """`$and`, and what stands side by side; holds when it is empty."""

    at: str
    parts: tuple[Node, ...]

    def holds(self, document: Any) -> bool:
        """Whether every part holds."""
        for part in self.parts:  # noqa: SIM110  (a generator would double the time of a usual filter)
            if not part.holds(document):
                return False
        return True

    def explain(self, document: Any) -> Iterator[Finding]:
        """Its finding, then those of its parts."""
        yield from _group(self, "$and", self.parts, document)


@dataclass(frozen=True, slots=True)
class Some:
    """`$or`."""

    at: str
    parts: tuple[Node, ...]

    def holds(self, document: Any) -> bool:
        """Whether any part holds."""
        return any(part.holds(document) for part in self.parts)

    def explain(self, document: Any) -> Iterator[Finding]:
        """Its finding, then those of its parts."""
        yield from _group(self, "$or", self.parts, document)


@dataclass(frozen=True, slots=True)
class Opposite:
    """`$not`."""

    at: str
    part: Node

    def holds(self, document: Any) -> bool:
        """Whether the part does not hold."""
        return not self.part.holds(document)

    def explain(self, document: Any) -> Iterator[Finding]:
        """Its finding, then those of its part."""
        yield from _group(self, "$not", (self.part,), document)


def _group(
    node: All | Some | Opposite, operator: str, parts: tuple[Node, ...], document: Any
) -> Iterator[Finding]:
    yield Finding(node.at, "", operator, None, (), node.holds(document))
    for part in parts:
        yield from part.explain(document)


def _finding(node: Condition | PatternCondition, document: Any) -> Finding:
    values = node.path.values(document)[:_SHOWN_VALUES]
    return Finding(
        node.at,
        node.path.text,
        node.operator,
        node.operand,
        tuple(_excerpt(value) for value in values),
        node.holds(document),
    )


def _excerpt(value: Any) -> Any:
    """A value, short enough to be shown."""
    if isinstance(value, str) and len(value) > _SHOWN_CHARACTERS:
        return value[:_SHOWN_CHARACTERS] + "…"
    if isinstance(value, list):
        if len(value) <= _SHOWN_VALUES and not any(isinstance(item, list | dict) for item in value):
            return [_excerpt(item) for item in value]
        return f"(array of {len(value)})"
    if isinstance(value, dict):
        return f"(object of {len(value)} keys)"
    return value
