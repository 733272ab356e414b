"""Strict reading of JSON bodies (RFC 8259, RFC 7493): what two readers could read differently is refused.

Refused are duplicate keys, NaN and infinite numbers, bytes that are not UTF-8, text that Postgres cannot
store (lone surrogates, U+0000), and anything over the size or depth cap. The usual body costs one pass of the
C parser.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, NoReturn

from hub.core.errors import FieldError, Invalid, Malformed, TooLarge

if TYPE_CHECKING:
    from collections.abc import Iterator

#: An escape that may make text which Postgres refuses; whether it does, the parsed value tells.
_SUSPECT_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


class UnsupportedMediaType(Invalid):
    """The body is of a type that the route does not read."""

    status = 415
    code = "unsupported_media_type"
    title = "Unsupported media type"


class _DuplicateKeyError(Exception):
    pass


class _NotFiniteError(Exception):
    pass


def parse_strict(raw: bytes, *, max_bytes: int, max_depth: int) -> Any:
    """Read a JSON body.

    Args:
        raw: the body.
        max_bytes: size cap.
        max_depth: cap of nested arrays and objects; a flat object has depth 1.

    Raises:
        Malformed: not UTF-8, not JSON, a duplicate key, NaN or an infinite number; says where.
        TooLarge: over a cap.
        Invalid: text that cannot be stored; names the field.
    """
    check_size(len(raw), max_bytes)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise _malformed(f"not UTF-8 at byte {error.start}") from None
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        message = (
            f"not JSON at line {error.lineno} column {error.colno}: {error.msg}" if text.strip() else "empty"
        )
        raise _malformed(message) from None
    except _DuplicateKeyError:
        path, line, column = _find_duplicate(text)
        raise _malformed(f"has a duplicate key at line {line} column {column}", path) from None
    except _NotFiniteError as error:
        raise _malformed(f"holds {error}, which is not a JSON number") from None
    except RecursionError:
        raise _too_deep(max_depth) from None
    except ValueError:  # Python's cap against integers of unbounded length
        raise _malformed("holds an integer of more than 4300 digits") from None
    # A cheap first bound: a body with so few brackets cannot be too deep.
    if raw.count(b"[") + raw.count(b"{") > max_depth and _depth_over(value, max_depth):
        raise _too_deep(max_depth)
    if _SUSPECT_ESCAPE.search(raw):
        for path, found in _texts(value, ""):
            check_text(found, path)
    return value


def check_strict(raw: bytes, *, max_bytes: int, max_depth: int) -> None:
    """Check a body that is read by something else afterwards; see `parse_strict`."""
    parse_strict(raw, max_bytes=max_bytes, max_depth=max_depth)


def check_size(size: int, max_bytes: int) -> None:
    """Refuse a body by its size.

    Raises:
        TooLarge: it is over the cap, in bytes.
    """
    if size > max_bytes:
        message = f"is over {max_bytes} bytes"
        raise TooLarge(f"The body {message}.", fields=(FieldError("", message),))


def check_text(text: str, path: str) -> None:
    """Refuse text that Postgres cannot store.

    Raises:
        Invalid: it has U+0000 or a lone surrogate.
    """
    if "\0" in text:
        message = "contains the character U+0000"
    elif any("\ud800" <= character <= "\udfff" for character in text):
        message = "contains half of a surrogate pair"
    else:
        return
    raise Invalid(
        f"{path or 'The body'} {message}, which cannot be stored.", fields=(FieldError(path, message),)
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _DuplicateKeyError
    return found


def _finite(literal: str) -> float:
    value = float(literal)
    if math.isinf(value):
        raise _NotFiniteError("a number beyond the range of a double")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise _NotFiniteError(name)


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse_constant)


def _malformed(message: str, path: str = "") -> Malformed:
    verb = "" if message.startswith(("has ", "holds ")) else "is "
    return Malformed(f"The body {verb}{message}.", fields=(FieldError(path, f"{verb}{message}"),))


def _too_deep(max_depth: int) -> TooLarge:
    message = f"is nested deeper than {max_depth} levels"
    return TooLarge(f"The body {message}.", fields=(FieldError("", message),))


def _depth_over(value: Any, max_depth: int) -> bool:
    """Whether a value is nested deeper, level by level, so that no recursion is needed."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(max_depth):
        level = [
            child
            for container in level
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every string of a value, keys too, with its dotted path. The depth was checked before."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, child in value.items():
            yield path, key
            yield from _texts(child, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _texts(child, f"{path}.{index}" if path else str(index))


def _find_duplicate(text: str) -> tuple[str, int, int]:
    """Where a key is repeated: dotted path, line and column. Only runs on a body that has one."""
    path: list[str | int] = []
    seen: list[set[str] | None] = []  # None is an array
    key_next = False
    for match in _TOKEN.finditer(text):
        lexeme = match[0]
        if lexeme in "{[":
            seen.append(set() if lexeme == "{" else None)
            path.append("" if lexeme == "{" else 0)
            key_next = lexeme == "{"
        elif lexeme in "}]":
            seen.pop()
            path.pop()
            key_next = False
        elif lexeme == ",":
            key_next = seen[-1] is not None
            if not key_next:
                path[-1] = int(path[-1]) + 1
        elif key_next and (keys := seen[-1]) is not None:
            key_next = False
            path[-1] = key = json.loads(lexeme)
            if key in keys:
                start = match.start()
                line_start = text.rfind("\n", 0, start) + 1
                return ".".join(map(str, path)), text.count("\n", 0, start) + 1, start - line_start + 1
            keys.add(key)
    raise AssertionError("only called for a text with a duplicate key")
