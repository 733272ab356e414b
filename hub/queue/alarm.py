"""Rings when something that was put off falls due: short waits need not be as late as the sweep.

Kept in this process alone and forgotten with it; the sweep covers. One thread, and only while something is set.
"""

from __future__ import annotations

import heapq
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: Longer waits are the sweep's.
MAX_SECONDS = 10.0
#: Moments that lie so close together are one ring.
_TOGETHER = 0.01
_IDLE_SECONDS = 5.0


class Alarm:
    """Rings at moments. Thread-safe; make it after a fork.

    Args:
        ring: called in the alarm's thread; must not raise.
    """

    def __init__(self, ring: Callable[[], object]) -> None:
        self._ring = ring
        self._changed = threading.Condition()
        self._moments: list[float] = []
        self._running = False

    def set(self, seconds: float) -> None:
        """Ring after so many seconds; not at all when they are more than `MAX_SECONDS`."""
        if seconds > MAX_SECONDS:
            return
        moment = time.monotonic() + max(0.0, seconds)
        # Up to the next hundredth: a thousand rows ring a hundred times a second at most.
        moment = (moment // _TOGETHER + 1) * _TOGETHER
        with self._changed:
            if moment in self._moments[:1]:
                return
            heapq.heappush(self._moments, moment)
            if not self._running:
                self._running = True
                threading.Thread(target=self._wait, name="alarm", daemon=True).start()
            elif self._moments[0] == moment:
                self._changed.notify()

    def _wait(self) -> None:
        while True:
            with self._changed:
                if not self._moments and not self._changed.wait(_IDLE_SECONDS) and not self._moments:
                    self._running = False
                    return
                if not self._moments:
                    continue
                left = self._moments[0] - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                    continue
                now = time.monotonic()
                while self._moments and self._moments[0] <= now:
                    heapq.heappop(self._moments)
            self._ring()
