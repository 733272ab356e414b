"""Parameters of a query or a form: names and values as texts, lists and objects in the style of the service.

The nested style is that of PHP and Rack, as Stripe takes it: `card[number]=4&items[0][price]=p`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

from hub.core.errors import FieldError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ArrayStyle = Literal["repeat", "comma", "brackets", "indices"]
ObjectStyle = Literal["refuse", "brackets"]
Pairs = list[tuple[str, str]]

_MAX_DEPTH = 10
_FLAT = "must be a text, number, boolean, or a list of them"
_NESTED = "must be made of texts, numbers, booleans, lists and objects"


def encode(
    values: Mapping[str, Any], arrays: ArrayStyle, objects: ObjectStyle, field: str, faults: list[FieldError]
) -> str:
    """Percent-encoded parameters. One whose value is null is left out.

    Args:
        values: by name.
        arrays: style of lists.
        objects: style of objects.
        field: where the values stand, for errors.
        faults: gets what is wrong with them.
    """
    # A comma between values stays one; what is inside of a value has none in that style.
    return urlencode(pairs(values, arrays, objects, field, faults), safe="," if arrays == "comma" else "")


def pairs(
    values: Mapping[str, Any], arrays: ArrayStyle, objects: ObjectStyle, field: str, faults: list[FieldError]
) -> Pairs:
    """As `encode`, before the percent-encoding."""
    found: Pairs = []
    for name, value in values.items():
        if value is None:
            continue
        text = text_of(value)
        if text is not None and encodes(text) and encodes(name):
            found.append((name, text))
            continue
        fault = _nested(name, value, arrays, objects, found) if encodes(name) else "is not valid Unicode"
        if fault is not None:
            faults.append(FieldError(f"{field}.{ascii(name)[1:-1]}", fault))
    return found


def text_of(value: Any) -> str | None:
    """A scalar as it stands in a URL; None for what is no scalar."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return str(value)
    return None


def encodes(text: str) -> bool:
    """It is Unicode: no half of a surrogate pair."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _nested(
    name: str, value: Any, arrays: ArrayStyle, objects: ObjectStyle, found: Pairs, depth: int = 0
) -> str | None:
    """Add a list or an object; what is wrong with it, or None."""
    if depth > _MAX_DEPTH:
        return f"is nested more than {_MAX_DEPTH} deep"
    if isinstance(value, list):
        return _list(name, value, arrays, objects, found, depth)
    if isinstance(value, dict) and objects == "brackets":
        return _object(name, value, arrays, objects, found, depth)
    text = text_of(value)
    if text is None or not encodes(text):
        return _FLAT if objects == "refuse" else _NESTED
    found.append((name, text))
    return None


def _object(
    name: str, values: Mapping[str, Any], arrays: ArrayStyle, objects: ObjectStyle, found: Pairs, depth: int
) -> str | None:
    for key, value in values.items():
        if value is None:
            continue
        if not encodes(key):
            return "is not valid Unicode"
        fault = _nested(f"{name}[{key}]", value, arrays, objects, found, depth + 1)
        if fault is not None:
            return fault
    return None


def _list(
    name: str, values: Sequence[Any], arrays: ArrayStyle, objects: ObjectStyle, found: Pairs, depth: int
) -> str | None:
    if arrays == "comma":
        texts = [text_of(value) for value in values]
        known = [text for text in texts if text is not None and encodes(text)]
        if len(known) != len(texts):
            return "must be a list of texts, numbers or booleans"
        if any("," in text for text in known):
            return "must have no value with a comma: commas separate the values"
        if known:
            found.append((name, ",".join(known)))
        return None
    for index, value in enumerate(values):
        # Only a number tells which members belong to one object of a list.
        numbered = arrays == "indices" or isinstance(value, dict | list)
        suffix = f"[{index}]" if numbered else "[]" if arrays == "brackets" else ""
        fault = _nested(name + suffix, value, arrays, objects, found, depth + 1)
        if fault is not None:
            return fault
    return None
