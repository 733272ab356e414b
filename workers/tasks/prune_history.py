"""Retention: partitions made ahead and dropped, old keys and counters deleted."""

from __future__ import annotations

from datetime import UTC, datetime

from hub.core.settings import get_settings
from hub.db.engine import get_engine
from hub.monitoring.retention import prune
from hub.queue.contracts import TaskName, Tick
from workers.task import hub_task


@hub_task(TaskName.HISTORY_PRUNE, Tick)
def prune_history(_payload: Tick) -> dict[str, int]:
    """Keep the database small."""
    with get_engine().begin() as conn:
        counts = prune(conn, get_settings(), datetime.now(UTC))
    return {name: count for name, count in counts.items() if count}
