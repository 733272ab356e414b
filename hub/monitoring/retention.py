"""Keeping the database small: partitions made ahead and dropped, expired keys, ticks and counters deleted.

Idempotent and safe to miss: partitions are in stock for days.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from hub.access.idempotency_store import prune_keys
from hub.core.ids import floor_uuid
from hub.db import partitions
from hub.monitoring import store
from hub.queue.store import prune_rejected, prune_ticks, prune_workers
from hub.sources.store import prune_inbound_keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from hub.core.settings import Settings

#: How long an idempotency key is remembered.
_KEY_LIFE = timedelta(hours=24)
_ROWS_PER_ROUND = 10_000
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
        "idempotency_keys": _in_rounds(lambda most: prune_keys(conn, now - _KEY_LIFE, limit=most)),
        "incoming_keys": _in_rounds(lambda most: prune_inbound_keys(conn, limit=most)),
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


def _in_rounds(delete: Callable[[int], int]) -> int:
    """Delete rows by steps until a step finds too few."""
    total = 0
    while True:
        deleted = delete(_ROWS_PER_ROUND)
        total += deleted
        if deleted < _ROWS_PER_ROUND:
            return total
