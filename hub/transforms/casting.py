"""Values as another type, without loss: `"12"` as an integer is 12, `"12.5"` is refused.

Promises: pure; a value that cannot be converted raises CannotCastError and is not repeated in its text.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from hub.transforms.editing import kind

if TYPE_CHECKING:
    from collections.abc import Callable

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")  # RFC 8259, 6
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class CannotCastError(Exception):
    """The value has no equal of that type; the text says why."""


def to_string(value: Any) -> Any:
    """Text of a number, true or false, as JSON writes it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        try:
            return json.dumps(value)
        except ValueError:  # Python's cap against numbers of unbounded length
            raise CannotCastError("a number has too many digits to be written") from None
    raise CannotCastError(f"{kind(value)} cannot become text")


def to_number(value: Any) -> Any:
    """A number; of text when it is one as JSON writes it; true is 1, false is 0."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    if not isinstance(value, str):
        raise CannotCastError(f"{kind(value)} cannot become a number")
    match = _NUMBER.fullmatch(value.strip())
    if match is None:
        raise CannotCastError("the text is not a number")
    try:
        number = float(match[0]) if match[1] or match[2] else int(match[0])
    except ValueError:
        raise CannotCastError("the number has too many digits") from None
    if isinstance(number, float) and math.isinf(number):
        raise CannotCastError("the number is beyond the range of a double")
    return number


def to_integer(value: Any) -> Any:
    """As `to_number`; 12.0 becomes 12, 12.5 is refused."""
    number = to_number(value)
    if isinstance(number, float):
        if not number.is_integer():
            raise CannotCastError("the number is no integer")
        return int(number)
    return number


def to_boolean(value: Any) -> Any:
    """True or false; of the numbers and texts 1, 0, `true`, `false` (upper or lower case)."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and (text := value.strip().lower()) in _BOOLEANS:
        return _BOOLEANS[text]
    raise CannotCastError(f"{kind(value)} that is neither true, false, 1 nor 0 cannot become true or false")


CASTS: dict[str, Callable[[Any], Any]] = {
    "string": to_string,
    "number": to_number,
    "integer": to_integer,
    "boolean": to_boolean,
}
