"""When to stop calling an endpoint that fails: after ten calls of a minute of which seven in ten failed.

The window is each process's own; the decision is written to the endpoint's lane, where every process sees it. While
it is open nothing is sent and no attempt is counted; after a pause that doubles up to ten minutes one call probes,
and its success closes it. Pure but for its own memory.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uuid

_WINDOW = 60.0
_SLOT = 5.0
_MIN_CALLS = 10
_FAILED_SHARE = 0.7
_FIRST_PAUSE, _LAST_PAUSE = 15.0, 600.0


def pause(times: int) -> float:
    """Seconds that a breaker stays open.

    Args:
        times: how often in a row it opened before.
    """
    return min(_LAST_PAUSE, _FIRST_PAUSE * 2.0 ** min(times, 10))


class Breakers:
    """The windows of one process."""

    def __init__(self) -> None:
        self._windows: dict[uuid.UUID, deque[list[float]]] = {}

    def count(self, endpoint_id: uuid.UUID, calls: int, failed: int, now: float) -> bool:
        """Count a batch of calls to one endpoint; True: it is to be opened.

        Args:
            endpoint_id: which one.
            calls: calls that ended.
            failed: how many of them failed.
            now: monotonic seconds.
        """
        window = self._windows.get(endpoint_id)
        if window is None:
            if not failed:
                # Nobody keeps a window on the healthy: its successes would only delay the verdict.
                return False
            window = self._windows[endpoint_id] = deque()
        while window and window[0][0] < now - _WINDOW:
            window.popleft()
        if window and window[-1][0] > now - _SLOT:
            window[-1][1] += calls
            window[-1][2] += failed
        else:
            window.append([now, calls, failed])
        total = sum(slot[1] for slot in window)
        bad = sum(slot[2] for slot in window)
        if not bad:
            del self._windows[endpoint_id]
            return False
        if total >= _MIN_CALLS and bad >= total * _FAILED_SHARE:
            del self._windows[endpoint_id]
            return True
        return False
