"""Keeping the database small: partitions made ahead and dropped, expired keys, ticks and counters deleted.

Idempotent and safe to miss: partitions are in stock for days.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from hub.access.store import prune_keys
from hub.core.ids import floor_uuid
from hub.db import partitions
from hub.monitoring import store
from hub.queue.store import prune_rejected, prune_ticks, prune_workers

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hub.core.settings import Settings

#: How long an idempotency key is remembered.
_KEY_LIFE = timedelta(hours=24)
_KEYS_PER_ROUND = 10_000
_TICK_SECONDS = 3600.0


def prune(conn: Connection, settings: Settings, now: datetime) -> dict[str, int]:
    """Make the partitions of the days ahead and delete what is over its time.

    Args:
        conn: a connection inside a transaction; commit right after, dropped partitions are locked until then.
        settings: `retention_days`.
        now: the current time, UTC.

    Returns:
        How many partitions were made and dropped, and how many rows of other tables were deleted.
    """
    today: date = now.date()
    oldest = datetime.combine(today - timedelta(days=settings.retention_days), time(), UTC)
    counts = {
        "partitions_made": len(partitions.ensure(conn, today)),
        "idempotency_keys": _prune_keys(conn, now - _KEY_LIFE),
        "ticks": prune_ticks(conn, _TICK_SECONDS),
        "rejected_messages": prune_rejected(conn, settings.retention_days),
        "workers": prune_workers(conn, settings.retention_days),
        "metrics": store.prune_metrics(conn, oldest),
        "health_changes": store.prune_changes(conn, floor_uuid(oldest)),
        "health_of_deleted": store.prune_orphans(conn),
    }
    # Last, since a drop locks out readers of its table until the commit.
    return counts | {
        "partitions_dropped": len(partitions.drop_old(conn, today, keep_days=settings.retention_days))
    }


def _prune_keys(conn: Connection, older_than: datetime) -> int:
    total = 0
    while True:
        deleted = prune_keys(conn, older_than, limit=_KEYS_PER_ROUND)
        total += deleted
        if deleted < _KEYS_PER_ROUND:
            return total
