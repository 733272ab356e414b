"""Payload filters: `{"data.amount": {"$gt": 100}, "data.currency": "EUR"}`.

A filter is an object. Each key is a dotted path (see `hub.transforms.paths`) or a group:

    {"path": value}                    $eq, for text, a number, true, false or null
    {"path": {"$gt": 1, "$lt": 9}}     operators; all must hold
    {"path": {"$not": {"$gt": 1}}}     the operators below do not all hold
    {"$and": [filter, …]}, {"$or": [filter, …]}, {"$not": filter}

Keys side by side must all hold; `{}` holds for every document. Operators: `$eq $ne $gt $gte $lt $lte $in $nin
$exists $startsWith $endsWith $contains $regex`. What they mean for one value is told by
`hub.transforms.operators`, for arrays and absent values by `hub.transforms.conditions`.

Promises: a filter is read once, with every fault named by its place; matching then is total: no loops, no
exceptions, time bounded by the caps below and the size of the document.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.transforms import operators
from hub.transforms.conditions import All, Condition, Node, Opposite, PatternCondition, Some
from hub.transforms.faults import Faults, shown
from hub.transforms.measure import OverCapError, measure
from hub.transforms.operators import BadOperandError
from hub.transforms.paths import BadPathError, Path, parse_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.transforms.conditions import Finding

MAX_BYTES = 16_384
MAX_DEPTH = 16
MAX_CONDITIONS = 100

#: name → (test, negated). `$regex` is built apart.
_OPERATORS: dict[str, tuple[Callable[[Any], Callable[[Any], bool]], bool]] = {
    "$eq": (operators.equal, False),
    "$ne": (operators.equal, True),
    "$gt": (operators.greater, False),
    "$gte": (operators.at_least, False),
    "$lt": (operators.less, False),
    "$lte": (operators.at_most, False),
    "$in": (operators.among, False),
    "$nin": (operators.among, True),
    "$exists": (operators.present, False),
    "$startsWith": (operators.starts, False),
    "$endsWith": (operators.ends, False),
    "$contains": (operators.contains, False),
}
_GROUPS = ("$and", "$or", "$not")
_ON_PATH = (*_OPERATORS, "$regex", "$not")


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that was read; immutable, safe in many threads."""

    root: Node

    def matches(self, document: Any) -> bool:
        """Whether a document passes. Never raises for any value that a JSON parser gives."""
        return self.root.holds(document)

    def explain(self, document: Any) -> list[Finding]:
        """Why it passes or not: a finding for every group and condition, outer ones first.

        Every part is judged, also where matching would have stopped earlier.
        """
        return list(self.root.explain(document))


def compile_filter(spec: Any, *, field: str = "filter") -> Filter:
    """Read a filter.

    Args:
        spec: the filter as JSON; later changes of it have no effect.
        field: the place of the filter in the caller's input; faults are at `<field>.…`.

    Raises:
        Invalid: with one field for every fault.
    """
    faults = Faults()
    found = build_filter(spec, field, faults)
    faults.raise_if_any()
    assert found is not None
    return found


def build_filter(spec: Any, at: str, faults: Faults) -> Filter | None:
    """Read a filter that is part of something larger; None when anything there is at fault, which is noted."""
    if not isinstance(spec, dict):
        faults.add(at, 'must be an object such as {"data.amount": {"$gt": 100}}')
        return None
    try:
        measure(spec, max_bytes=MAX_BYTES, max_depth=MAX_DEPTH)
    except OverCapError as error:
        faults.add(at, str(error))
        return None
    reader = _Reader(faults)
    root = reader.filter(copy.deepcopy(spec), at)
    if reader.conditions > MAX_CONDITIONS:
        faults.add(at, f"has {reader.conditions} conditions; at most {MAX_CONDITIONS} are allowed")
    elif reader.program > operators.MAX_PROGRAM:
        faults.add(at, "has patterns that are too large together; use fewer or smaller ones")
    return Filter(root) if not faults else None


class _Reader:
    """Reads one filter.

    Attributes:
        conditions: how many operators were met.
        program: instructions of all patterns.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.conditions = 0
        self.program = 0

    def filter(self, spec: Any, at: str) -> Node:
        if not isinstance(spec, dict):
            self._faults.add(at, 'must be an object such as {"data.amount": {"$gt": 100}}')
            return All(at, ())
        parts: list[Node] = []
        for key, value in spec.items():
            place = f"{at}.{shown(key)}"
            if key in _GROUPS:
                parts.append(self._group(key, value, place))
            elif key.startswith("$") and not key.startswith("$."):
                self._faults.add(place, _misplaced(key))
            else:
                parts += self._on_path(key, value, place)
        return parts[0] if len(parts) == 1 else All(at, tuple(parts))

    def _group(self, operator: str, value: Any, at: str) -> Node:
        if operator == "$not":
            return Opposite(at, self.filter(value, at))
        if not isinstance(value, list) or not value:
            self._faults.add(at, 'must be a list of one or more filters, such as [{"data.paid": true}]')
            return All(at, ())
        parts = tuple(self.filter(part, f"{at}[{index}]") for index, part in enumerate(value))
        return All(at, parts) if operator == "$and" else Some(at, parts)

    def _on_path(self, key: str, value: Any, at: str) -> list[Node]:
        try:
            path = parse_path(key)
        except BadPathError as error:
            self._faults.add(at, str(error))
            return []
        if isinstance(value, list):
            self._faults.add(
                at,
                'is a list; write {"$in": […]} for any of these values or {"$eq": […]} for this very array',
            )
            return []
        if isinstance(value, dict):
            return self._operators(path, value, at)
        return self._condition(path, "$eq", value, at)

    def _operators(self, path: Path, value: dict[str, Any], at: str) -> list[Node]:
        if not value:
            self._faults.add(at, 'holds no operator; write {"$exists": true} or {"$eq": {}}')
        parts: list[Node] = []
        for operator, operand in value.items():
            place = f"{at}.{shown(operator)}"
            if operator == "$not":
                if isinstance(operand, dict):
                    parts.append(Opposite(place, All(place, tuple(self._operators(path, operand, place)))))
                else:
                    self._faults.add(place, 'must be an object of operators, such as {"$gt": 100}')
            elif operator in _ON_PATH:
                parts += self._condition(path, operator, operand, place)
            elif operator.startswith("$"):
                self._faults.add(place, _misplaced(operator))
            else:
                self._faults.add(
                    place,
                    "is no operator; to look inside an object write a dotted path as the key, "
                    'to compare with a whole object write {"$eq": {…}}',
                )
        return parts

    def _condition(self, path: Path, operator: str, operand: Any, at: str) -> list[Node]:
        self.conditions += 1
        try:
            if operator == "$regex":
                pattern = operators.compile_pattern(operand)
                self.program += max(pattern.programsize, pattern.reverseprogramsize)
                return [PatternCondition(at, path, operator, operand, pattern)]
            build, negated = _OPERATORS[operator]
            test = build(operand)
        except BadOperandError as error:
            self._faults.add(at, str(error))
            return []
        if operator == "$exists":
            negated = not operand
        return [Condition(at, path, path.names, operator, operand, test, negated)]


def _misplaced(operator: str) -> str:
    if operator in ("$and", "$or"):
        return "takes whole filters; it stands beside paths, not under one"
    if operator in _ON_PATH:
        return f'stands under a path, such as {{"data.amount": {{"{operator}": …}}}}'
    return (
        f"is no operator; the operators are {' '.join((*_OPERATORS, '$regex', *_GROUPS))} "
        "(a key that starts with a dollar sign is written `\\$`)"
    )
