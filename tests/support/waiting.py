"""Waiting for a condition with a deadline: what tests do instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def in_time(seconds: float, act: Callable[[], Result]) -> Result:
    """What `act()` gives, which has to be there within so many seconds.

    A busy machine may hold this process back, so what is late is done again: only who is late three times is late.
    """
    took: list[float] = []
    while True:
        begun = time.monotonic()
        found = act()
        took.append(time.monotonic() - begun)
        if took[-1] < seconds:
            return found
        assert len(took) < 3, f"it took {took} s; it has {seconds:g} s"


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
