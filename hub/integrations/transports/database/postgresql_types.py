"""PostgreSQL's values as text, to and from JSON.

Rules: whole numbers and floats are JSON numbers (`NaN` and infinities are texts); `numeric` is its exact text; times
are ISO 8601, with the offset where the type has one; `interval` is an ISO 8601 duration; `bytea` is base64; json stays
json, to its last digit; arrays are lists; everything else is the server's own text.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from hub.integrations.transports.database.parameters import Json
from hub.integrations.transports.database.rows import json_value

Reader = Callable[[str], Any]

_HOURS_ONLY = re.compile(r"[+-]\d\d$")


def _boolean(text: str) -> bool:
    return text == "t"


def _float(text: str) -> float | str:
    value = float(text)
    return value if math.isfinite(value) else text


def _bytes(text: str) -> str:
    return base64.b64encode(bytes.fromhex(text.removeprefix("\\x"))).decode()


def _timestamp(text: str) -> str:
    return text.replace(" ", "T", 1) if text[:1].isdigit() else text


def _with_offset(text: str) -> str:
    text = _timestamp(text)
    return text + ":00" if _HOURS_ONLY.search(text) else text


# Type numbers never change: src/include/catalog/pg_type.dat. The second number is the type of its arrays.
_READERS: list[tuple[int, int, Reader]] = [
    (16, 1000, _boolean),
    (17, 1001, _bytes),
    (20, 1016, int),
    (21, 1005, int),
    (23, 1007, int),
    (25, 1009, str),
    (26, 1028, int),
    (114, 199, json_value),
    (700, 1021, _float),
    (701, 1022, _float),
    (1042, 1014, str),
    (1043, 1015, str),
    (1082, 1182, str),
    (1083, 1183, str),
    (1114, 1115, _timestamp),
    (1184, 1185, _with_offset),
    (1186, 1187, str),
    (1266, 1270, _with_offset),
    (1700, 1231, str),
    (2950, 2951, str),
    (3802, 3807, json_value),
]
_BY_TYPE = {number: read for number, _, read in _READERS}
_BY_ARRAY = {number: read for _, number, read in _READERS}


def reader(type_: int) -> Reader:
    """What makes JSON of a type's text."""
    if type_ in _BY_ARRAY:
        element = _BY_ARRAY[type_]
        return lambda text: _array(text, element)
    return _BY_TYPE.get(type_, str)


_ARRAY_TOKEN = re.compile(r'[{},]|"((?:[^"\\]|\\.)*)"|[^{},"\\]+', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def _array(text: str, element: Reader) -> list[Any]:
    """`{1,NULL,"a b"}`, with lists in lists; bounds other than 1 (`[0:1]={…}`) are left out."""
    root: list[Any] = []
    stack = [root]
    for token in _ARRAY_TOKEN.finditer(text, text.index("{")):
        piece = token.group()
        if piece == "{":
            inner: list[Any] = []
            stack[-1].append(inner)
            stack.append(inner)
        elif piece == "}":
            stack.pop()
        elif token.group(1) is not None:
            stack[-1].append(element(_ESCAPED.sub(r"\1", token.group(1))))
        elif piece != ",":
            stack[-1].append(None if piece.upper() == "NULL" else element(piece))
    found: list[Any] = root[0]
    return found


def write(value: Any) -> bytes | None:
    """A value as the text that the server reads; the type is the server's to find."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return b"\\x" + value.hex().encode()
    if isinstance(value, list):
        return _write_list(value).encode()
    return _write_text(value).encode()


def _write_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Json):
        return value.text
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)


def _write_list(values: list[Any]) -> str:
    return "{" + ",".join(_write_element(value) for value in values) + "}"


def _write_element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return _write_list(value)
    text = _write_text(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
