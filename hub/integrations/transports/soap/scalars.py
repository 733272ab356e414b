"""Values of simple types (XML Schema, part 2) in JSON, both ways, without losing a digit.

Numbers without a fraction, `float` and `double` are JSON numbers. A `decimal` is a text: a JSON reader would round it.
Dates, times and bytes (base64) are the texts that XML has.
"""

from __future__ import annotations

import base64
import math
import re
from decimal import Decimal
from typing import Any

from zeep import xsd
from zeep.xsd.types import builtins
from zeep.xsd.types.collection import ListType

_UNSENDABLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: Up to here a float has no gaps between whole numbers.
_WHOLE = 2.0**53
_ZONE = r"(Z|[+-]\d\d:\d\d)?"
_LEXICAL: tuple[tuple[type, re.Pattern[str], str], ...] = (
    (builtins.Integer, re.compile(r"[+-]?\d{1,4000}", re.ASCII), "a whole number"),
    (builtins.Decimal, re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII), "a decimal number"),
    (builtins.Float, re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([Ee][+-]?\d+)?|-?INF|NaN", re.ASCII), "a number"),
    (builtins.Double, re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([Ee][+-]?\d+)?|-?INF|NaN", re.ASCII), "a number"),
    (builtins.Boolean, re.compile(r"true|false|1|0"), "true or false"),
    (
        builtins.DateTime,
        re.compile(rf"-?\d{{4,}}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?{_ZONE}", re.ASCII),
        "a date and time such as 2026-01-31T12:00:00Z",
    ),
    (builtins.Date, re.compile(rf"-?\d{{4,}}-\d\d-\d\d{_ZONE}", re.ASCII), "a date such as 2026-01-31"),
    (builtins.Time, re.compile(rf"\d\d:\d\d:\d\d(\.\d+)?{_ZONE}", re.ASCII), "a time such as 12:00:00"),
    (
        builtins.Duration,
        re.compile(r"-?P(?=.)(\d+Y)?(\d+M)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?", re.ASCII),
        "a duration such as P1DT2H",
    ),
    (builtins.HexBinary, re.compile(r"([0-9A-Fa-f]{2})*"), "bytes as hexadecimal digits"),
)
_PAIRS = (builtins.gYearMonth, builtins.gYear, builtins.gMonthDay, builtins.gDay, builtins.gMonth)


def to_xml(kind: Any, value: Any) -> tuple[Any, str]:  # noqa: PLR0911 - one line a case
    """What zeep takes for a value, and what is wrong with the value; one of them is empty.

    Args:
        kind: zeep's simple type.
        value: from JSON.
    """
    if isinstance(kind, ListType):
        if not isinstance(value, list):
            return None, "must be a list"
        items = [to_xml(kind.item_type, item) for item in value]
        fault = next((text for _, text in items if text), "")
        return (None, fault) if fault else ([item for item, _ in items], "")
    text = _text(value)
    if text is None:
        return None, "must be a text, a number, true or false"
    if _UNSENDABLE.search(text):
        return None, "has a character that XML cannot hold"
    for type_, pattern, wanted in _LEXICAL:
        if isinstance(kind, type_):
            return (text, "") if pattern.fullmatch(text.strip()) else (None, f"must be {wanted}")
    if isinstance(kind, builtins.Base64Binary):
        return (text, "") if _is_base64(text) else (None, "must be bytes in base64 (RFC 4648, 4)")
    if isinstance(kind, _PAIRS):
        try:
            return kind.pythonvalue(text), ""
        except ValueError:
            return None, f"must be a {type(kind).__name__} of XML Schema"
    return text, ""


def from_xml(kind: Any, text: str | None) -> Any:  # noqa: PLR0911 - one line a case
    """A value in JSON. What does not fit its type stays the text that came.

    Args:
        kind: zeep's simple type.
        text: of an element or an attribute; None when there is none.
    """
    if isinstance(kind, ListType):
        return [from_xml(kind.item_type, item) for item in (text or "").split()]
    if isinstance(kind, builtins.String) or not isinstance(kind, builtins.BuiltinType):
        return text or ""
    text = (text or "").strip()
    if not text:
        return None
    if isinstance(kind, builtins.Boolean):
        return {"true": True, "1": True, "false": False, "0": False}.get(text, text)
    if isinstance(kind, builtins.Integer):
        return int(text) if _LEXICAL[0][1].fullmatch(text) else text
    if isinstance(kind, builtins.Float | builtins.Double):
        try:
            number = float(text)
        except ValueError:
            return text
        return number if math.isfinite(number) else text
    return "".join(text.split()) if isinstance(kind, builtins.Base64Binary) else text


def is_simple(kind: Any) -> bool:
    """It has no parts."""
    return isinstance(kind, xsd.AnySimpleType)


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        try:
            return str(value)
        except ValueError:  # more digits than Python writes
            return None
    if isinstance(value, float):
        if value.is_integer() and abs(value) < _WHOLE:
            return str(int(value))
        return format(Decimal(repr(value)), "f") if math.isfinite(value) else None
    return value if isinstance(value, str) else None


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        return False
    return True
