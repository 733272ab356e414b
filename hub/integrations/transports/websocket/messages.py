"""Messages of a session: how they stand in JSON, and how they travel.

A text travels as text, `{"base64": "…"}` alone as binary, any other JSON value as its text. What comes back reads
the same way: a text that is JSON as its value, any other as a text, binary as `{"base64": "…"}`.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, NoReturn


class NoMessageError(ValueError):
    """The value cannot be sent; says why, to be read after its place."""


def to_wire(value: Any) -> str | bytes:
    """What is sent for a value: text or binary.

    Raises:
        NoMessageError: it is not fit to be sent.
    """
    if isinstance(value, dict) and value.keys() == {"base64"}:
        try:
            return base64.b64decode(value["base64"], validate=True)
        except (binascii.Error, ValueError, TypeError):
            raise NoMessageError("is not valid base64 (RFC 4648, 4, with padding)") from None
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except UnicodeEncodeError:
        raise NoMessageError("has half of a surrogate pair, which UTF-8 cannot carry") from None
    except (ValueError, RecursionError):
        raise NoMessageError("cannot be written as JSON") from None
    return text


def from_wire(data: str | bytes) -> tuple[Any, str]:
    """What a received message is.

    Returns:
        The value that filters look at, and its JSON text.
    """
    if isinstance(data, bytes):
        value: Any = {"base64": base64.b64encode(data).decode()}
        return value, json.dumps(value)
    try:
        # Numbers that JSON cannot carry on, or of unbounded length, and deep nesting stay text.
        value = json.loads(data, parse_constant=_refuse)
        return value, json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        return data, json.dumps(data)


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)
