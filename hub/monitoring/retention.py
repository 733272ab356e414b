"""Keeping the database small: partitions made ahead and dropped, expired keys, ticks and counters deleted.

Integrations may ask for their executions to be kept for a shorter time than the deployment keeps them. The audit log
and what was used of quotas are kept for longer: somebody may ask for them when the history is long gone.

Idempotent and safe to miss: partitions are in stock for days.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from hub.access.audit import prune_entries
from hub.access.idempotency_store import prune_keys
from hub.core.ids import floor_uuid
from hub.db import partitions
from hub.integrations.executions.quota_store import prune_usage
from hub.integrations.executions.retention_store import delete_finished, shorter_retentions
from hub.monitoring import store
from hub.queue.store import prune_rejected, prune_ticks, prune_workers
from hub.sources.store import prune_inbound_keys

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine

    from hub.core.settings import Settings

#: How long an idempotency key is remembered.
_KEY_LIFE = timedelta(hours=24)
#: How long the audit log and the use of quotas are kept, at least.
_LONG = timedelta(days=400)
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
        "health_of_unchecked": store.prune_orphans(conn),
    }
    # Last, since a drop locks out readers of its table until the commit.
    return counts | {
        "partitions_dropped": len(partitions.drop_old(conn, today, keep_days=settings.retention_days))
    }


def prune_integrations(engine: Engine, settings: Settings, now: datetime) -> dict[str, int]:
    """Delete what integrations want to be forgotten, and old entries of the audit log and of quotas.

    Each round is a transaction of its own, so that nothing is locked for long.

    Args:
        engine: the database.
        settings: `retention_days`.
        now: the current time, UTC.

    Returns:
        How many rows were deleted.
    """
    with engine.connect() as conn:
        shorter = shorter_retentions(conn, settings.retention_days)

    def round_of(integration_id: uuid.UUID, before: uuid.UUID, most: int) -> int:
        with engine.begin() as conn:
            return len(delete_finished(conn, integration_id, before, limit=most))

    executions = 0
    for integration_id, days in shorter.items():
        before = floor_uuid(now - timedelta(days=days))
        executions += _in_rounds(lambda most, one=integration_id, end=before: round_of(one, end, most))  # type: ignore[misc]
    oldest = now - _LONG
    with engine.begin() as conn:
        entries = _in_rounds(lambda most: prune_entries(conn, floor_uuid(oldest), limit=most))
        usage = prune_usage(conn, oldest.date())
    return {"executions": executions, "audit_entries": entries, "usage": usage}


def _in_rounds(delete: Callable[[int], int]) -> int:
    """Delete rows by steps until a step finds too few."""
    total = 0
    while True:
        deleted = delete(_ROWS_PER_ROUND)
        total += deleted
        if deleted < _ROWS_PER_ROUND:
            return total
