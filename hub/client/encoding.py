"""JSON text as both clients send it: made once, so that receivers get exactly these bytes."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final, NoReturn, overload

#: The fields of an event that are moments.
TIMES: Final = frozenset({"deliver_at", "expires_at"})


class Json(str):
    """JSON text, sent byte for byte where a value would lose something: `Json('{"total": 10.00}')`."""

    __slots__ = ()


def to_json(value: Any) -> str:
    """Compact JSON, keys in their order, characters as they are; of a `Json`, its own text.

    Raises:
        TypeError: it holds what JSON has no form for.
        ValueError: a number is not finite, text is not Unicode (a lone surrogate), a `Json` is not JSON.
    """
    if isinstance(value, Json):
        json.loads(value, parse_constant=_refuse)
        text = str(value)
    else:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text.encode()  # a lone surrogate fails here, in the caller's hands, not in a worker
    return text


def fields_to_json(fields: dict[str, Any]) -> str:
    """The JSON of an object, each of whose values may be a `Json`.

    Raises:
        TypeError, ValueError: as for `to_json`.
    """
    if not any(isinstance(value, Json) for value in fields.values()):
        return to_json(fields)
    return "{" + ",".join(f"{to_json(name)}:{to_json(value)}" for name, value in fields.items()) + "}"


def event_to_json(event: Any) -> str:
    """The JSON of an event, whose `data` may be a `Json`; anything else about it is for the hub to judge.

    Raises:
        TypeError, ValueError: as for `to_json` and `time_text`.
    """
    if not isinstance(event, dict):
        return to_json(event)
    return fields_to_json(
        {name: time_text(value) if name in TIMES else value for name, value in event.items()}
    )


@overload
def time_text(at: datetime | str) -> str: ...
@overload
def time_text(at: datetime | str | None) -> str | None: ...
def time_text(at: datetime | str | None) -> str | None:
    """A moment as RFC 3339 text; text stays as it is, for the hub to judge.

    Raises:
        ValueError: the time says nothing of its zone, so it is a moment only to whoever made it.
    """
    if not isinstance(at, datetime):
        return at
    if at.utcoffset() is None:
        raise ValueError("a time must have a zone, such as datetime.now(UTC)")
    return at.isoformat()


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
