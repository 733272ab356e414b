"""JSON as it goes out."""

from __future__ import annotations

import json
from typing import Any

#: What is wrong with a value that `to_json` refuses, to be read after its place.
UNSENDABLE = "cannot be sent: it has text that is not Unicode, a number without value, or too many levels"


def to_json(value: Any) -> bytes:
    """Compact JSON in UTF-8.

    Raises:
        ValueError: it is `UNSENDABLE`.
    """
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except RecursionError:
        raise ValueError("it has too many levels") from None
