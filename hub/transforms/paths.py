r"""Dotted paths into JSON: `data.customer.id`, `data.items.0.price`, `data.items.price`.

A path is names joined by dots. In an object a name is a key. In an array a name made of digits is the
position of an element (from 0); any other name goes into each element that is an object. Elements that are
arrays themselves are not entered. A dot, a backslash or a dollar sign in a key is written with a backslash
before it: `data.a\.b`.

Promises: reading never raises on any document and costs at most one visit of each value per name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

MAX_CHARACTERS = 512
MAX_NAMES = 32

#: Nothing there; `None` is a value (JSON null).
MISSING: Final[Any] = object()

_INDEX = re.compile(r"0|[1-9][0-9]{0,6}")
_ESCAPABLE = ".\\$"


class BadPathError(ValueError):
    """The text is not a path; says why and how to mend it, to be read after the place."""


class ManyPlacesError(Exception):
    """A path that must name one place goes into each element of an array."""


@dataclass(frozen=True, slots=True)
class Path:
    """A path that was read.

    Attributes:
        text: as it was written.
        names: the keys and positions.
        indexes: for each name the position that it is in an array, or None.
    """

    text: str
    names: tuple[str, ...]
    indexes: tuple[int | None, ...]

    def values(self, document: Any) -> list[Any]:
        """Every value at the path, in the document's order; empty where nothing is."""
        found = [document]
        for name, index in zip(self.names, self.indexes, strict=True):
            below: list[Any] = []
            for value in found:
                if isinstance(value, dict):
                    if name in value:
                        below.append(value[name])
                elif isinstance(value, list):
                    if index is None:
                        below.extend(item[name] for item in value if isinstance(item, dict) and name in item)
                    elif index < len(value):
                        below.append(value[index])
            if not below:
                return below
            found = below
        return found

    def one(self, document: Any) -> Any:
        """The value at the path, or MISSING.

        Raises:
            ManyPlacesError: the path goes into each element of an array.
        """
        value = document
        for name, index in zip(self.names, self.indexes, strict=True):
            if isinstance(value, dict):
                value = value.get(name, MISSING)
            elif isinstance(value, list):
                if index is None:
                    raise ManyPlacesError
                value = value[index] if index < len(value) else MISSING
            else:
                return MISSING
        return value


def parse_path(text: Any) -> Path:
    """Read a path.

    Raises:
        BadPathError: it is none.
    """
    if not isinstance(text, str):
        raise BadPathError('must be a path, which is text such as "data.customer.id"')
    if not text:
        raise BadPathError('is empty; write a path such as "data.customer.id"')
    if len(text) > MAX_CHARACTERS:
        raise BadPathError(f"is a path of over {MAX_CHARACTERS} characters")
    if text.startswith("$."):
        raise BadPathError("starts with `$.`; leave that out, a path starts with the first key")
    names = _names(text)
    if "" in names:
        raise BadPathError("has an empty name; write one dot between two names (a dot in a key is `\\.`)")
    if len(names) > MAX_NAMES:
        raise BadPathError(f"is a path of over {MAX_NAMES} names")
    return Path(
        text,
        tuple(names),
        tuple(int(name) if is_index(name) else None for name in names),
    )


def is_index(name: str) -> bool:
    """Whether a name is a position where it meets an array."""
    return _INDEX.fullmatch(name) is not None


def _names(text: str) -> list[str]:
    if "\\" not in text:
        return text.split(".")
    names = [""]
    escaped = False
    for character in text:
        if escaped:
            if character not in _ESCAPABLE:
                raise BadPathError("has a backslash that stands before neither `.` nor `\\` nor `$`")
            names[-1] += character
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == ".":
            names.append("")
        else:
            names[-1] += character
    if escaped:
        raise BadPathError("ends with a backslash")
    return names
