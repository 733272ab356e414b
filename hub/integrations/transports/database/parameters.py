"""The values of a statement: from the input's JSON to what a dialect writes on the wire."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from hub.core.errors import FieldError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hub.integrations.transports.database.forms import Parameter

_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_MAX_DEPTH = 6


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON document as text."""

    text: str


Value = None | bool | int | float | Decimal | str | bytes | date | datetime | Json | list[Any]


def read(
    names: Iterable[str], declared: Mapping[str, Parameter], given: Any, at: str
) -> tuple[dict[str, Value], list[FieldError]]:
    """Take the values of a call.

    Args:
        names: the statement's parameters.
        declared: what the operation says of them.
        given: the input: `{"parameters": {name: value}}`; null and `{}` give none.
        at: where the input stands.
    """
    faults: list[FieldError] = []
    values: dict[str, Value] = {}
    names = tuple(names)
    input_ = {} if given is None else given
    if not isinstance(input_, dict) or not isinstance(input_.get("parameters", {}), dict):
        return {}, [FieldError(at, "must be an object such as {parameters: {name: value}}")]
    faults += [
        FieldError(f"{at}.{extra}", "is not known; the input of a statement is {parameters: {…}}")
        for extra in input_.keys() - {"parameters"}
    ]
    sent = input_.get("parameters", {})
    for name in names:
        path = f"{at}.parameters.{name}"
        parameter = declared.get(name)
        if name in sent:
            value = sent[name]
        elif parameter is not None and (parameter.default is not None or not parameter.required):
            value = parameter.default
        else:
            faults.append(FieldError(path, "is required"))
            continue
        try:
            values[name] = convert(value, "any" if parameter is None else parameter.type)
        except ValueError as error:
            faults.append(FieldError(path, str(error)))
    faults += [
        FieldError(f"{at}.parameters.{name}", "is not a parameter of the statement")
        for name in sent.keys() - set(names)
    ]
    return values, sorted(faults, key=lambda fault: fault.path)


def convert(value: Any, type_: str) -> Value:  # noqa: C901, PLR0911 - one line a type
    """A JSON value as a value of a statement.

    Raises:
        ValueError: with a sentence that follows the field's name.
    """
    if type_ == "json":
        return Json(json.dumps(value, ensure_ascii=False, allow_nan=False))
    if value is None:
        return None
    match type_:
        case "integer" if isinstance(value, int) and not isinstance(value, bool):
            return value
        case "number" if isinstance(value, (int, float)) and not isinstance(value, bool):
            return value
        case "boolean" if isinstance(value, bool):
            return value
        case "text" if isinstance(value, str):
            return _text(value)
        case "decimal" if isinstance(value, str) and _DECIMAL.fullmatch(value):
            return Decimal(value)
        case "decimal" if isinstance(value, int) and not isinstance(value, bool):
            return Decimal(value)
        case "any" if isinstance(value, list):
            return _list(value, 1)
        case "any" if not isinstance(value, dict):
            return _text(value) if isinstance(value, str) else value
        case "any":
            raise ValueError("is an object; declare the parameter's type as json")
        case "date" | "timestamp" | "bytes" | "uuid" if isinstance(value, str):
            return _parsed(value, type_)
    raise ValueError(f"must be {_NAMES[type_]}")


_NAMES = {
    "text": "a text",
    "integer": "a whole number",
    "number": "a number",
    "decimal": "a decimal number as text, such as `12.50`",
    "boolean": "true or false",
    "date": "a date as text, such as `2026-01-31`",
    "timestamp": "a time as text, such as `2026-01-31T12:00:00Z`",
    "bytes": "base64 text",
    "uuid": "a UUID as text",
}


def _parsed(value: str, type_: str) -> Value:
    try:
        match type_:
            case "date":
                return date.fromisoformat(value)
            case "timestamp":
                return datetime.fromisoformat(value)
            case "bytes":
                return base64.b64decode(value, validate=True)
            case _:
                return str(UUID(value))
    except (ValueError, binascii.Error):
        raise ValueError(f"must be {_NAMES[type_]}") from None


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not contain a NUL character, which databases do not store in texts")
    if not value.isascii() and value.encode("utf-8", "replace") != value.encode("utf-8", "surrogatepass"):
        raise ValueError("must be Unicode text, without half of a surrogate pair")
    return value


def _list(values: list[Any], depth: int) -> list[Any]:
    if depth > _MAX_DEPTH:
        raise ValueError(f"is nested more than {_MAX_DEPTH} lists deep")
    for value in values:
        if isinstance(value, dict):
            raise ValueError("holds an object; declare the parameter's type as json")  # noqa: TRY004
        if isinstance(value, list):
            _list(value, depth + 1)
        elif isinstance(value, str):
            _text(value)
    return values
