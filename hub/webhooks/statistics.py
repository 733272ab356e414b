"""How endpoints are doing: attempts counted in memory, written every couple of seconds.

Counting costs the hot path a dictionary look-up. What a killed worker had not written is missing in the statistics
(never in the ledger): two seconds of it at most.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from hub.webhooks import statistics_store
from hub.webhooks.models import LATENCY_BOUNDS

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Connection

    from hub.net.outcome import Outcome
    from hub.webhooks.job import Job

_EVERY = 2.0


class Statistics:
    """What one process counted since it last wrote."""

    def __init__(self) -> None:
        self._minutes: dict[tuple[uuid.UUID, int], statistics_store.Minute] = {}
        self._health: dict[uuid.UUID, statistics_store.Health] = {}
        self._written_at = 0.0

    def count(self, job: Job, started_at: datetime, outcome: Outcome) -> None:
        """Count one attempt."""
        endpoint_id = job.target.id
        stamp = started_at.timestamp()
        key = (endpoint_id, int(stamp // 60) * 60)
        minute = self._minutes.get(key)
        if minute is None:
            minute = self._minutes[key] = statistics_store.Minute(endpoint_id, job.tenant_id, key[1])
        health = self._health.get(endpoint_id)
        if health is None:
            health = self._health[endpoint_id] = statistics_store.Health(endpoint_id, job.tenant_id)
        total = outcome.timings.total_ms
        minute.latency_sum_ms += total
        slot = bisect_left(LATENCY_BOUNDS, total)
        if slot < len(LATENCY_BOUNDS):
            minute.latencies[slot] += 1
        if outcome.ok:
            minute.succeeded += 1
            health.last_success = max(health.last_success, stamp)
        else:
            minute.failed += 1
            health.last_failure = max(health.last_failure, stamp)
            health.failed_messages += job.step == 0

    def flush_if_due(self, now: float | None) -> Callable[[Connection], None]:
        """What writes the counts, which are forgotten here; it may be called again if the write failed.

        Args:
            now: monotonic seconds; None: due or not.
        """
        if now is not None and now - self._written_at < _EVERY:
            return lambda _: None
        self._written_at = self._written_at if now is None else now
        minutes, self._minutes = list(self._minutes.values()), {}
        health, self._health = list(self._health.values()), {}

        def write(conn: Connection) -> None:
            if minutes:
                statistics_store.add_minutes(conn, minutes)
                statistics_store.add_health(conn, health)

        return write
