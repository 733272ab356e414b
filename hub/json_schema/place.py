"""One subschema while it is compiled: where it stands, what it says, and the nodes it leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from hub.core.errors import FieldError, Invalid
from hub.json_schema.patterns import Pattern, compile_pattern

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.json_schema.run import Check, Path, Run, Seen

    #: Reads one keyword's value; None when there is nothing to check.
    Keyword = Callable[[Any, "Place"], Check | None]

#: A JSON pointer, read (RFC 6901).
Pointer = tuple[str, ...]


class Node:
    """One compiled subschema; a `Check` itself.

    Attributes:
        pointer: where it stands in the document.
        in_place: the nodes that it asks about the very same value.
    """

    __slots__ = ("checks", "in_place", "leftovers", "pointer")

    def __init__(self, pointer: Pointer) -> None:
        self.pointer = pointer
        self.in_place: list[Node] = []
        self.checks: tuple[Check, ...] = ()
        #: `unevaluated…`: they come last, and see what this node and those in its place evaluated.
        self.leftovers: tuple[Check, ...] = ()

    def __call__(self, value: Any, path: Path, run: Run, seen: Seen) -> None:
        """Check a value."""
        run.spend(1)
        if not self.leftovers:
            for check in self.checks:
                check(value, path, run, seen)
            return
        mine: set[str | int] = set()
        for check in (*self.checks, *self.leftovers):
            check(value, path, run, mine)
        if seen is not None:
            seen |= mine


#: What a pattern that is refused counts for: finding out takes some milliseconds.
_REFUSED_SIZE = 5000


class Compiler(Protocol):
    """What a place needs of the compilation."""

    def node(self, value: Any, pointer: Pointer) -> Node:
        """The node of the schema at a pointer."""
        ...

    def reference(self, text: str) -> Node | str:
        """The node that a reference names, or what is wrong with it."""
        ...

    def fault(self, pointer: Pointer, message: str) -> None:
        """Note that the schema is wrong."""
        ...

    @property
    def has_room(self) -> bool:
        """May another pattern be compiled?"""
        ...

    def weigh(self, instructions: int) -> None:
        """Count a pattern."""
        ...


class Place:
    """One subschema.

    Args:
        compiler: the compilation that it is part of.
        node: what is made of it.
        schema: what it says.
    """

    __slots__ = ("_compiler", "_node", "schema")

    def __init__(self, compiler: Compiler, node: Node, schema: dict[str, Any]) -> None:
        self._compiler = compiler
        self._node = node
        self.schema = schema

    def fault(self, message: str, *segments: str | int) -> None:
        """Note that what stands here, or below, is wrong."""
        self._compiler.fault((*self._node.pointer, *map(str, segments)), message)

    def below(self, value: Any, *segments: str | int) -> Node:
        """The node of a subschema for a part of the value."""
        return self._compiler.node(value, (*self._node.pointer, *map(str, segments)))

    def beside(self, value: Any, *segments: str | int) -> Node:
        """The node of a subschema for the same value."""
        node = self.below(value, *segments)
        self._node.in_place.append(node)
        return node

    def referred(self, text: str, keyword: str) -> Node | None:
        """The node of a reference, for the same value."""
        found = self._compiler.reference(text)
        if isinstance(found, str):
            self.fault(found, keyword)
            return None
        self._node.in_place.append(found)
        return found

    def pattern(self, text: str, *segments: str | int) -> Pattern | None:
        """A compiled pattern; None for one that is wrong, and when there are too many."""
        if not self._compiler.has_room:
            return None
        try:
            found = compile_pattern(text)
        except Invalid as error:
            self._compiler.weigh(_REFUSED_SIZE)
            self.fault(error.detail, *segments)
            return None
        self._compiler.weigh(found.size)
        return found


def pointer_field(root: str, pointer: Pointer) -> str:
    """A place in a schema as a field: `schema.properties.amount.type`."""
    return ".".join((root, *pointer))


def field_error(root: str, pointer: Pointer, message: str) -> FieldError:
    """A fault of a schema."""
    return FieldError(pointer_field(root, pointer), message)
