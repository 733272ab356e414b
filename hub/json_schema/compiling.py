"""JSON Schema draft 2020-12, compiled once and checked many times at a bounded cost. Pure.

Promises: `compile_schema` accepts what the draft's own meta-schema accepts, minus what one tenant could use to hold
up all others; a check costs microseconds for the usual event and never more than its budget; no schema is ever
fetched. Left out on purpose, and refused with the place: references out of the document, embedded documents
(`$id` below the top), patterns that RE2 does not know. Only the formats of `formats.py` are asserted.

Why not the package jsonschema at run time: for every alternative that does not fit it writes the whole document into
a message, compares items of an array pair by pair, runs patterns in a backtracking engine, and has no budget: a
schema of 300 bytes stops the process. It is the judge of this module in the tests.
"""

from __future__ import annotations

import json
import re
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from hub.core.errors import FieldError, Invalid, TooLarge
from hub.json_schema.assertions import ASSERTIONS
from hub.json_schema.combinators import COMBINATORS
from hub.json_schema.parts import LEFTOVERS, PARTS
from hub.json_schema.place import Node, Place, Pointer, field_error
from hub.json_schema.remarks import REMARKS
from hub.json_schema.run import MAX_STEPS, Enough, Run, TooMuchWork, told

if TYPE_CHECKING:
    from hub.json_schema.run import Path, Seen

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_BYTES = 256 * 1024
MAX_DEPTH = 64
#: Subschemas of one schema.
MAX_NODES = 5000
#: Instructions of all its patterns: a quarter of a second. Short ones have ten, `^.{1,255}$` two thousand.
MAX_PATTERNS = 250_000
MAX_FAULTS = 20

_KEYWORDS = {**ASSERTIONS, **COMBINATORS, **PARTS, **REMARKS}
#: Of a list that a document has room for; Python refuses to read numbers of thousands of digits.
_INDEX = re.compile(r"[0-9]{1,9}")
_ANCHOR = re.compile(r"[A-Za-z_][-A-Za-z0-9._]*")


class Validator:
    """A compiled schema. Thread-safe: what a check needs lives in its own `Run`.

    Args:
        root: the schema's top.
        size: bytes of its JSON.
        patterns: instructions of all its patterns.

    Attributes:
        size: likewise.
        patterns: likewise.
    """

    __slots__ = ("_root", "patterns", "size")

    def __init__(self, root: Node, size: int, patterns: int = 0) -> None:
        self._root = root
        self.size = size
        self.patterns = patterns

    def errors(self, document: Any, *, at: str = "data", steps: int = MAX_STEPS) -> list[FieldError]:
        """What is wrong with a document, as JSON is read in Python; empty when it fits.

        Args:
            document: without infinite numbers.
            at: the name of the document in the paths of the errors.
            steps: the budget.

        Returns:
            At most 20 errors; a document that cannot be judged within the budget has one.
        """
        run = Run(steps)
        try:
            self._root(document, None, run, None)
        except Enough:
            pass
        except (TooMuchWork, RecursionError):
            return [
                FieldError(
                    at, "cannot be checked: its schema asks for too much work on a document of this form"
                )
            ]
        return told(run, at)


def compile_schema(schema: Any, *, field: str = "schema") -> Validator:
    """Read a schema.

    Args:
        schema: JSON, as it is read in Python.
        field: its name in the paths of the faults.

    Raises:
        TooLarge: it is over 256 KiB, 64 levels or 5,000 subschemas, or its patterns expand too far.
        Invalid: it is not a schema of this draft, or holds what is left out; every fault with its place.
    """
    if _depth_over(schema, MAX_DEPTH):
        raise _too_large(field, f"is nested deeper than {MAX_DEPTH} levels")
    size = len(json.dumps(schema, ensure_ascii=False).encode(errors="replace"))
    if size > MAX_BYTES:
        raise _too_large(field, f"is over {MAX_BYTES // 1024} KiB")
    compilation = _Compilation(schema)
    root = compilation.run()
    if len(compilation.nodes) > MAX_NODES:
        raise _too_large(field, f"has over {MAX_NODES} subschemas")
    if not compilation.has_room:
        raise _too_large(field, "has too many patterns, or they expand too far; use smaller counts in {…}")
    faults = [field_error(field, pointer, message) for pointer, message in compilation.faults][:MAX_FAULTS]
    if faults:
        detail = "; ".join(f"{fault.path} {fault.message}" for fault in faults[:3])
        raise Invalid(f"The schema is not acceptable: {detail}.", fields=tuple(faults))
    return Validator(root, size, compilation.patterns)


class _Compilation:
    """Turns one document into nodes, one at a time: no recursion, however long a chain of references is."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._waiting: list[tuple[Node, Any]] = []
        self._anchors: dict[str, Node] = {}
        self._wanted: dict[str, list[Node]] = {}
        self.nodes: dict[Pointer, Node] = {}
        # A dict, to tell each fault once and in order.
        self.faults: dict[tuple[Pointer, str], None] = {}
        self.patterns = 0

    def run(self) -> Node:
        root = self.node(self._document, ())
        while self._waiting and len(self.nodes) <= MAX_NODES:
            self._fill(*self._waiting.pop())
        for name, references in self._wanted.items():
            target = self._anchors.get(name)
            for reference in references:
                if target is None:
                    self.fault(
                        reference.pointer, f"refers to the anchor {name}, which is not in this document"
                    )
                else:
                    reference.checks = (target,)
                    reference.in_place.append(target)
        if not self.faults:
            self._refuse_circles()
        return root

    def node(self, value: Any, pointer: Pointer) -> Node:
        node = self.nodes.get(pointer)
        if node is None:
            node = self.nodes[pointer] = Node(pointer)
            self._waiting.append((node, value))
        return node

    def reference(self, text: str) -> Node | str:
        if not text.startswith("#"):
            return "must begin with `#`: only references within the document are followed"
        fragment = unquote(text[1:])
        if fragment and not fragment.startswith("/"):
            # Its target may come later: a node of its own stands for it until then.
            node = Node((text,))
            self._wanted.setdefault(fragment, []).append(node)
            return node
        pointer = tuple(part.replace("~1", "/").replace("~0", "~") for part in fragment.split("/")[1:])
        value = self._document
        for part in pointer:
            if isinstance(value, dict) and part in value:
                value = value[part]
            elif isinstance(value, list) and _INDEX.fullmatch(part) and int(part) < len(value):
                value = value[int(part)]
            else:
                return f"refers to {text[:128]}, which is not in this document"
        return self.node(value, pointer)

    def fault(self, pointer: Pointer, message: str) -> None:
        self.faults[pointer, message] = None

    @property
    def has_room(self) -> bool:
        return self.patterns <= MAX_PATTERNS

    def weigh(self, instructions: int) -> None:
        self.patterns += instructions

    def _fill(self, node: Node, schema: Any) -> None:
        if isinstance(schema, bool):
            node.checks = () if schema else (_refuse,)
            return
        if not isinstance(schema, dict):
            self.fault(node.pointer, "must be a schema: an object, true or false")
            return
        self._identify(node, schema)
        place = Place(self, node, schema)
        read = [
            (table, keyword) for keyword in schema for table in (_KEYWORDS, LEFTOVERS) if keyword in table
        ]
        made = [(table, table[keyword](schema[keyword], place)) for table, keyword in read]
        node.checks = tuple(check for table, check in made if check is not None and table is _KEYWORDS)
        node.leftovers = tuple(check for table, check in made if check is not None and table is LEFTOVERS)

    def _identify(self, node: Node, schema: dict[str, Any]) -> None:
        """The keywords by which documents and their parts are named (JSON Schema core, section 8)."""
        if "$schema" in schema and str(schema["$schema"]).removesuffix("#") != DIALECT:
            self.fault((*node.pointer, "$schema"), f"must be {DIALECT}")
        if "$id" in schema:
            if node.pointer:
                self.fault((*node.pointer, "$id"), "is allowed at the top only: one document is one schema")
            elif not isinstance(schema["$id"], str) or "#" in schema["$id"].removesuffix("#"):
                self.fault(("$id",), "must be a URI without a fragment")
        for keyword in ("$anchor", "$dynamicAnchor"):
            name = schema.get(keyword, "_")
            if not isinstance(name, str) or _ANCHOR.fullmatch(name) is None:
                self.fault((*node.pointer, keyword), "must be a name of letters, digits, `_`, `-` and `.`")
            elif keyword in schema and self._anchors.setdefault(name, node) is not node:
                self.fault((*node.pointer, keyword), f"is used twice: {name[:64]}")

    def _refuse_circles(self) -> None:
        """A schema that asks itself about the same value would never end."""
        everything = [*self.nodes.values(), *(node for nodes in self._wanted.values() for node in nodes)]
        try:
            TopologicalSorter({node: node.in_place for node in everything}).prepare()
        except CycleError as error:
            self.fault(error.args[1][0].pointer, "refers to itself without going into a part of the value")


def _refuse(_value: Any, path: Path, run: Run, _seen: Seen) -> None:
    run.fail(path, "is not allowed")


def _too_large(field: str, message: str) -> TooLarge:
    return TooLarge(f"The schema {message}.", fields=(FieldError(field, message),))


def _depth_over(value: Any, limit: int) -> bool:
    """Level by level: nothing here may recurse before the depth is known."""
    level = [value]
    for _ in range(limit + 1):
        level = [
            part
            for one in level
            if isinstance(one, dict | list)
            for part in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True
