"""The limits of a process, put together from the parts of `hub.limits`."""

from __future__ import annotations

import threading
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
#: Pauses that this process knows of: the longest.
_MAX_PAUSES = 1_000
#: Seconds after which it asks again what pauses there are. Most calls are under no limit, and need not ask at each.
_ASK_AGAIN = 1.0


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
        self._lock = threading.Lock()
        self._asks_at = 0.0

    def pause(self, keys: Sequence[str], seconds: float) -> None:
        """Admit nothing under these keys for a while, in any worker."""
        until = time.monotonic() + seconds
        with self._lock:
            # Another map: who looks at the old one is not disturbed.
            self._paused = {**self._paused, **{key: max(until, self._paused.get(key, 0.0)) for key in keys}}
        self.rates["open"].penalise(keys, seconds)

    @property
    def knows_pauses(self) -> bool:
        """Is there any pause, as far as this process knows? It asks Redis at most once a second."""
        now = time.monotonic()
        if now >= self._asks_at:
            self._ask(now)
        return bool(self._paused)

    def is_paused(self, buckets: Sequence[Bucket]) -> bool:
        """Does this process know of a pause? Integrations without limits ask Redis only then."""
        now = time.monotonic()
        paused = self._paused
        return any(paused.get(bucket.key, 0.0) > now for bucket in buckets)

    def _ask(self, now: float) -> None:
        with self._lock:
            if now < self._asks_at:
                return
            self._asks_at = now + _ASK_AGAIN
        heard = {key: now + left for key, left in self.rates["open"].pauses(_MAX_PAUSES).items()}
        with self._lock:
            # What was paused here meanwhile, or while Redis is away, holds as well.
            own = {key: until for key, until in self._paused.items() if until > now}
            self._paused = {**heard, **{key: max(until, heard.get(key, 0.0)) for key, until in own.items()}}

    @staticmethod
    def sleep(seconds: float) -> None:
        """Wait for a slot that was taken."""
        time.sleep(seconds)

    @staticmethod
    def now() -> datetime:
        """For dates in headers."""
        return datetime.now(UTC)
