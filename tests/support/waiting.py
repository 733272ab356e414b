"""Waiting for a condition with a deadline: what tests do instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(condition: Callable[[], object], *, seconds: float = 20.0, what: str = "the condition") -> None:
    """Return as soon as `condition()` is true.

    Args:
        condition: asked every 20 ms.
        seconds: the deadline.
        what: named in the failure.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true within {seconds:g} s"
        time.sleep(0.02)
