"""The rows of an answer, written as JSON while they come, inside the caps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hub.integrations.transports.database.parameters import Json
from hub.integrations.transports.dialled import too_large

if TYPE_CHECKING:
    from collections.abc import Sequence


class Rows:
    """Of one call.

    Args:
        max_rows: more are left out.
        max_bytes: of the answer; more is a fault.
    """

    def __init__(self, max_rows: int, max_bytes: int) -> None:
        self.max_rows = max_rows
        self.max_bytes = max_bytes
        self.truncated = False
        #: Rows that a statement changed, when it says so.
        self.changed: int | None = None
        self.more: dict[str, Any] = {}
        self._columns: list[str] = []
        self._rows: list[bytes] = []
        self._size = 0

    def name(self, columns: Sequence[str]) -> None:
        """The columns of what follows. A name that appears again gets a number (`id`, `id_2`), so that none is lost."""
        self._columns = []
        taken: set[str] = set()
        # Where each name's numbers have got to: no name is tried twice, whatever a server calls its columns.
        numbers: dict[str, int] = {}
        for column in columns:
            unique, number = column, numbers.get(column, 1)
            while unique in taken:
                number += 1
                unique = f"{column}_{number}"
            numbers[column] = number
            taken.add(unique)
            self._columns.append(unique)

    def add(self, values: Sequence[Any]) -> None:
        """Take one row of JSON values; a `Json` is written as its text is.

        Raises:
            Verdict: the answer is too long.
        """
        if len(self._rows) >= self.max_rows:
            self.truncated = True
            return
        row = _encode(dict(zip(self._columns, values, strict=True)))
        self._size += len(row) + 1
        if self._size > self.max_bytes:
            raise too_large(self.max_bytes)
        self._rows.append(row)

    def body(self) -> bytes:
        """The whole answer.

        Raises:
            Verdict: it is too long.
        """
        head = {
            "columns": self._columns,
            "row_count": len(self._rows) if self.changed is None else self.changed,
            "truncated": self.truncated,
            **self.more,
        }
        body = b'%s,"rows":[%s]}' % (
            _encode(head)[:-1],
            b",".join(self._rows),
        )
        if len(body) > self.max_bytes:
            raise too_large(self.max_bytes)
        return body


def json_value(text: str) -> Json | str:
    """What a server says is JSON, to be written as it is: Python's numbers are narrower than JSON's.

    Args:
        text: of the server; what is no JSON stays a text.
    """
    try:
        _JSON.decode(text)
    except (ValueError, RecursionError):
        return text
    return Json(text)


def _number(_: str) -> None:
    """Not converted: it may have more digits than Python reads."""


def _no_json(name: str) -> None:
    raise ValueError(name)


_JSON = json.JSONDecoder(parse_int=_number, parse_float=_number, parse_constant=_no_json)


def _encode(value: dict[str, Any]) -> bytes:
    # Half of a surrogate pair, which a JSON column may hold, becomes its escape again.
    return _text(value).encode("utf-8", "backslashreplace")


def _text(value: Any) -> str:
    if isinstance(value, Json):
        return value.text
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if {Json, list}.isdisjoint(map(type, inner)):
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if isinstance(value, dict):
        return "{" + ",".join(f"{_text(name)}:{_text(one)}" for name, one in value.items()) + "}"
    return "[" + ",".join(map(_text, value)) + "]"
