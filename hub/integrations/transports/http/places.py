"""Finding a part of a JSON document without reading the rest of it.

A place is a dotted path: `data.items`, `data.-1.id` (a number counts in an array, a negative one from its end). At an
object the whole rest of a path is tried as a name first, so `@odata.nextLink` is one name. Numbers keep the digits
that they came with, since nothing is decoded but what is asked for.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_VALUE = msgspec.json.Decoder()
_INDEX = re.compile(r"-?[0-9]{1,6}")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class NotJsonError(ValueError):
    """The text is no JSON, or is nested beyond reason."""


def find(document: bytes, place: str) -> bytes | None:
    """The JSON text of a part; None when there is no such part.

    Args:
        document: JSON.
        place: where; empty for the whole document.

    Raises:
        NotJsonError: as far as the document had to be read.
    """
    value, rest = document.removeprefix(_BYTE_ORDER_MARK).strip(), place
    try:
        while rest:
            if value[:1] == b"{":
                members = _OBJECT.decode(value)
                name, rest = (rest, "") if rest in members else _first(rest)
                found = members.get(name)
            elif value[:1] == b"[":
                name, rest = _first(rest)
                found = _at(_ARRAY.decode(value), name)
            else:
                found = None
            if found is None:
                return None
            value = bytes(found).strip()
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise NotJsonError(place) from None
    return value


def read(document: bytes, place: str) -> Any:
    """As `find`, decoded; None also for null.

    Raises:
        NotJsonError: as far as the document had to be read.
    """
    found = find(document, place)
    if found is None:
        return None
    try:
        return _VALUE.decode(found)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise NotJsonError(place) from None


def array(document: bytes, place: str) -> list[bytes] | None:
    """The JSON texts of an array's items; None when there is no array.

    Raises:
        NotJsonError: as far as the document had to be read.
    """
    found = find(document, place)
    try:
        return None if found is None or found[:1] != b"[" else [bytes(item) for item in _ARRAY.decode(found)]
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise NotJsonError(place) from None


def _first(place: str) -> tuple[str, str]:
    name, _, rest = place.partition(".")
    return name, rest


def _at(items: list[msgspec.Raw], name: str) -> msgspec.Raw | None:
    if not _INDEX.fullmatch(name):
        return None
    try:
        return items[int(name)]
    except IndexError:
        return None
