"""How large a JSON value is, found by a walk that stops at a cap.

The walk needs no recursion and builds nothing, so it is safe on values that would exhaust memory when they
are encoded: one small part that is shared a million times counts a million times.
"""

from __future__ import annotations

import math
from typing import Any

MAX_DEPTH = 200


class OverCapError(Exception):
    """The value is over a cap, or is not JSON; the text says which, to be read after a subject."""


def measure(value: Any, *, max_bytes: int, max_depth: int = MAX_DEPTH) -> int:
    """The bytes of a value as compact JSON in UTF-8, but for escapes, which are not counted.

    Args:
        value: of the types that `json.loads` gives.
        max_bytes: size cap.
        max_depth: cap of nested arrays and objects; a flat object has depth 1.

    Raises:
        OverCapError: it is larger or deeper, or holds something that JSON cannot.
    """
    total = 0
    level = [value]
    depth = 0
    while level:
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                total += 2 + (len(item) if item.isascii() else len(item.encode(errors="surrogatepass")))
            elif isinstance(item, dict):
                total += 2 + 2 * len(item)
                for key in item:
                    if not isinstance(key, str):
                        raise OverCapError("has a key that is not text")
                    total += 2 + (len(key) if key.isascii() else len(key.encode(errors="surrogatepass")))
                below.extend(item.values())
            elif isinstance(item, list):
                total += 2 + len(item)
                below.extend(item)
            else:
                total += _scalar_bytes(item)
            if total > max_bytes:
                raise OverCapError(f"is over {max_bytes} bytes")
        level = below
        depth += 1
        if level and depth > max_depth:
            raise OverCapError(f"is nested deeper than {max_depth} levels")
    return total


def _scalar_bytes(item: Any) -> int:
    if item is None or isinstance(item, bool):
        return 5
    if isinstance(item, int):
        return 2 + item.bit_length() * 302 // 1000  # log10(2) = 0.30103
    if isinstance(item, float):
        if not math.isfinite(item):
            raise OverCapError("holds a number that is not finite")
        return 18
    raise OverCapError(f"holds a {type(item).__name__}, which is not JSON")
