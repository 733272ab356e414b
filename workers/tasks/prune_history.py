"""Retention: partitions made ahead and dropped, old keys and counters deleted, ended signing keys forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hub.core.settings import get_settings
from hub.db.engine import get_engine
from hub.monitoring.retention import prune, prune_integrations
from hub.queue.contracts import TaskName, Tick
from hub.webhooks import store as webhooks
from hub.webhooks.endpoints.rotation import drop_ended
from hub.webhooks.endpoints.store import prune_metrics
from workers import context
from workers.task import hub_task

#: Longer than any worker holds a lease of an endpoint that was deleted.
_QUIET = timedelta(days=1)


@hub_task(TaskName.HISTORY_PRUNE, Tick)
def prune_history(_payload: Tick) -> dict[str, int]:
    """Keep the database small."""
    settings, now = get_settings(), datetime.now(UTC)
    with get_engine().begin() as conn:
        counts = prune(conn, settings, now)
    with get_engine().begin() as conn:
        counts |= {
            "endpoint_metrics": prune_metrics(conn, now - timedelta(days=settings.retention_days)),
            "ended_signing_keys": drop_ended(conn, context.get_vault(), now),
            "lanes": webhooks.DELIVERIES.prune(conn, reason=webhooks.ENDPOINT_DELETED, quiet=_QUIET),
        }
    counts |= prune_integrations(get_engine(), settings, now)
    return {name: count for name, count in counts.items() if count}
