"""JSON text as both clients send it: made once, so that receivers get exactly these bytes."""

from __future__ import annotations

import json
from typing import Any


def to_json(value: Any) -> str:
    """Compact JSON, keys in their order, characters as they are.

    Raises:
        TypeError: it holds what JSON has no form for.
        ValueError: a number that is not finite, or text that is not Unicode (a lone surrogate).
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text.encode()  # a lone surrogate fails here, in the caller's hands, not in a worker
    return text
