"""JSON text as both clients send it: made once, so that receivers get exactly these bytes."""

from __future__ import annotations

import json
from typing import Any, NoReturn


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


def event_to_json(event: Any) -> str:
    """The JSON of an event, whose `data` may be a `Json`; anything else about it is for the hub to judge.

    Raises:
        TypeError, ValueError: as for `to_json`.
    """
    if not (isinstance(event, dict) and isinstance(event.get("data"), Json)):
        return to_json(event)
    fields = [f"{to_json(name)}:{to_json(value)}" for name, value in event.items()]
    return "{" + ",".join(fields) + "}"


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
