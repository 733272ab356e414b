"""Keywords that look at one value: its type, its bounds, its text (JSON Schema 2020-12 validation, section 6).

Each function reads the keyword's value once, says what is wrong with it, and gives the check. Messages tell what was
expected, which the schema says, and never the value, which may be anybody's data.
"""

from __future__ import annotations

import json
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from hub.json_schema.formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.json_schema.place import Keyword, Place
    from hub.json_schema.run import Check, Path, Run, Seen

_MAX_EXCERPT = 160

_NAMES = {
    "null": "null",
    "boolean": "a boolean",
    "object": "an object",
    "array": "an array",
    "number": "a number",
    "string": "a string",
    "integer": "an integer",
}


def is_number(value: Any) -> bool:
    """JSON has one kind of number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_integer(value: Any) -> bool:
    """1.0 is an integer (JSON Schema core, section 4.2.1)."""
    return is_number(value) and (isinstance(value, int) or value.is_integer())


_TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "number": is_number,
    "string": lambda value: isinstance(value, str),
    "integer": is_integer,
}


def excerpt(value: Any) -> str:
    """JSON of a part of a schema, cut."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_EXCERPT else f"{text[: _MAX_EXCERPT - 1]}…"


def identity(value: Any) -> str:
    """A text that two values share when they are the same JSON value: 1 and 1.0 do, 1 and true do not."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list):
        return f"[{','.join(map(identity, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{json.dumps(key)}:{identity(value[key])}' for key in sorted(value))}}}"
    return json.dumps(value)


def strings(value: Any, place: Place, *segments: str) -> list[str] | None:
    """A list of different strings, or None and a fault."""
    if (
        isinstance(value, list)
        and all(isinstance(one, str) for one in value)
        and len(set(value)) == len(value)
    ):
        return value
    place.fault("must be a list of different strings", *segments)
    return None


def _type(value: Any, place: Place) -> Check | None:
    names = [value] if isinstance(value, str) else strings(value, place, "type")
    if names is None:
        return None
    if not names or any(name not in _TYPES for name in names):
        place.fault(f"must be one or more of {', '.join(_TYPES)}", "type")
        return None
    tests = tuple(_TYPES[name] for name in names)
    message = f"must be {' or '.join(_NAMES[name] for name in names)}"
    if len(tests) == 1:
        test = tests[0]

        def check_one(value: Any, path: Path, run: Run, _seen: Seen) -> None:
            if not test(value):
                run.fail(path, message)

        return check_one

    def check(value: Any, path: Path, run: Run, _seen: Seen) -> None:
        for test in tests:
            if test(value):
                return
        run.fail(path, message)

    return check


def _one_of(allowed: list[Any], message: str) -> Check:
    texts = frozenset(one for one in allowed if isinstance(one, str))
    others = frozenset(identity(one) for one in allowed if not isinstance(one, str))
    nested = any(isinstance(one, dict | list) for one in allowed)

    def check(value: Any, path: Path, run: Run, _seen: Seen) -> None:
        if isinstance(value, str):
            if value in texts:
                return
        elif others and (nested or not isinstance(value, dict | list)):
            own = identity(value)
            run.spend(len(own) // 16)
            if own in others:
                return
        run.fail(path, message)

    return check


def _enum(value: Any, place: Place) -> Check | None:
    if not isinstance(value, list):
        place.fault("must be a list of the allowed values", "enum")
        return None
    return _one_of(value, f"must be one of {excerpt(value)[1:].removesuffix(']')}")


def _const(value: Any, _place: Place) -> Check:
    return _one_of([value], f"must be {excerpt(value)}")


def _multiple_of(value: Any, place: Place) -> Check | None:
    if not is_number(value) or value <= 0:
        place.fault("must be a number above 0", "multipleOf")
        return None
    message = f"must be a multiple of {excerpt(value)}"
    # What is written in decimals is meant in decimals: 19.99 is a multiple of 0.01, whatever a double makes of it.
    unit = Fraction(repr(value))

    def check(value: Any, path: Path, run: Run, _seen: Seen) -> None:
        if is_number(value) and Fraction(repr(value)) % unit:
            run.fail(path, message)

    return check


def _bound(keyword: str, words: str, holds: Callable[[Any, Any], bool]) -> Keyword:
    def read(bound: Any, place: Place) -> Check | None:
        if not is_number(bound):
            place.fault("must be a number", keyword)
            return None
        message = f"must be {words} {excerpt(bound)}"

        def check(value: Any, path: Path, run: Run, _seen: Seen) -> None:
            if is_number(value) and not holds(value, bound):
                run.fail(path, message)

        return check

    return read


def _size(keyword: str, kind: type[str | list[Any] | dict[str, Any]], noun: str, *, least: bool) -> Keyword:
    """How long a text, an array or an object is."""

    def read(bound: Any, place: Place) -> Check | None:
        if not is_integer(bound) or bound < 0:
            place.fault("must be a whole number, 0 or more", keyword)
            return None
        one, many = noun.split("|")
        message = f"must have at {'least' if least else 'most'} {bound} {one if bound == 1 else many}"

        def check(value: Any, path: Path, run: Run, _seen: Seen) -> None:
            if isinstance(value, kind) and (len(value) < bound if least else len(value) > bound):
                run.fail(path, message)

        return check

    return read


def _pattern(value: Any, place: Place) -> Check | None:
    if not isinstance(value, str):
        place.fault("must be a string", "pattern")
        return None
    pattern = place.pattern(value, "pattern")
    if pattern is None:
        return None
    message = f"must match {excerpt(value)}"

    def check(value: Any, path: Path, run: Run, _seen: Seen) -> None:
        if isinstance(value, str):
            run.spend(pattern.cost(value))
            if not pattern.found_in(value):
                run.fail(path, message)

    return check


def _format(value: Any, place: Place) -> Check | None:
    if not isinstance(value, str):
        place.fault("must be a string", "format")
        return None
    fits = FORMATS.get(value)
    if fits is None:
        return None
    message = f"must be of the format {value}"

    def check(value: Any, path: Path, run: Run, _seen: Seen) -> None:
        if isinstance(value, str):
            run.spend(len(value) // 64)
            if not fits(value):
                run.fail(path, message)

    return check


def _unique_items(value: Any, place: Place) -> Check | None:
    if not isinstance(value, bool):
        place.fault("must be true or false", "uniqueItems")
        return None
    if not value:
        return None

    def check(value: Any, path: Path, run: Run, _seen: Seen) -> None:
        if not isinstance(value, list):
            return
        found = set()
        for item in value:
            own = identity(item)
            run.spend(1 + len(own) // 16)
            found.add(own)
        if len(found) != len(value):
            run.fail(path, "must not hold the same item twice")

    return check


def _required(value: Any, place: Place) -> Check | None:
    names = strings(value, place, "required")
    if names is None:
        return None

    def check(value: Any, path: Path, run: Run, _seen: Seen) -> None:
        if isinstance(value, dict):
            run.spend(len(names) // 16)
            for name in names:
                if name not in value:
                    run.fail((path, name), "is required")

    return check


def _dependent_required(value: Any, place: Place) -> Check | None:
    if not isinstance(value, dict):
        place.fault("must be an object", "dependentRequired")
        return None
    dependents = {name: strings(needed, place, "dependentRequired", name) for name, needed in value.items()}

    def check(value: Any, path: Path, run: Run, _seen: Seen) -> None:
        if isinstance(value, dict):
            for name, needed in dependents.items():
                if name in value:
                    run.spend(1 + len(needed or ()) // 16)
                    for other in needed or ():
                        if other not in value:
                            run.fail((path, other), f"is required where {excerpt(name)} is given")

    return check


ASSERTIONS: dict[str, Keyword] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "multipleOf": _multiple_of,
    "maximum": _bound("maximum", "at most", lambda value, bound: value <= bound),
    "exclusiveMaximum": _bound("exclusiveMaximum", "below", lambda value, bound: value < bound),
    "minimum": _bound("minimum", "at least", lambda value, bound: value >= bound),
    "exclusiveMinimum": _bound("exclusiveMinimum", "above", lambda value, bound: value > bound),
    "maxLength": _size("maxLength", str, "character|characters", least=False),
    "minLength": _size("minLength", str, "character|characters", least=True),
    "pattern": _pattern,
    "format": _format,
    "maxItems": _size("maxItems", list, "item|items", least=False),
    "minItems": _size("minItems", list, "item|items", least=True),
    "uniqueItems": _unique_items,
    "maxProperties": _size("maxProperties", dict, "property|properties", least=False),
    "minProperties": _size("minProperties", dict, "property|properties", least=True),
    "required": _required,
    "dependentRequired": _dependent_required,
}
