"""The limits of a process, put together from the parts of `hub.limits`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hub.limits.cache import ResponseCache
from hub.limits.concurrency import Slots
from hub.limits.rates import RateLimiter
from hub.limits.reach import OnOutage, Reach, connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.limits.rates import Bucket

_OUTAGE = {"open": OnOutage.ADMIT, "closed": OnOutage.REFUSE}
#: Pauses that this process remembers; the oldest are forgotten, and then met again.
_MAX_PAUSES = 10_000


class Limits:
    """Rates, calls at once and kept answers; one a process, for any number of threads.

    Args:
        redis_url: where they live.
    """

    def __init__(self, redis_url: str) -> None:
        reach = Reach(connect(redis_url))
        self.rates = {name: RateLimiter(reach, on_outage=outage) for name, outage in _OUTAGE.items()}
        self.slots = {name: Slots(reach, on_outage=outage) for name, outage in _OUTAGE.items()}
        self.cache = ResponseCache(reach)
        self._paused: dict[str, float] = {}

    def pause(self, keys: Sequence[str], seconds: float) -> None:
        """Admit nothing under these keys for a while, in any worker."""
        until = time.monotonic() + seconds
        for key in keys:
            if len(self._paused) >= _MAX_PAUSES:
                self._paused.pop(next(iter(self._paused)), None)
            self._paused[key] = max(until, self._paused.get(key, 0.0))
        self.rates["open"].penalise(keys, seconds)

    @property
    def knows_pauses(self) -> bool:
        """Has this process heard of any pause? Most never do, and need not look for one at every call."""
        return bool(self._paused)

    def is_paused(self, buckets: Sequence[Bucket]) -> bool:
        """Does this process know of a pause? Integrations without limits ask Redis only then."""
        now = time.monotonic()
        return any(self._paused.get(bucket.key, 0.0) > now for bucket in buckets)

    @staticmethod
    def sleep(seconds: float) -> None:
        """Wait for a slot that was taken."""
        time.sleep(seconds)

    @staticmethod
    def now() -> datetime:
        """For dates in headers."""
        return datetime.now(UTC)
