"""Alerts of integrations: judged, and told when they change."""

from __future__ import annotations

from datetime import UTC, datetime

from hub.db.engine import get_engine
from hub.monitoring.alerts import review
from hub.queue.contracts import TaskName, Tick
from workers import context
from workers.task import hub_task


@hub_task(TaskName.ALERTS_REVIEW, Tick)
def review_alerts(_payload: Tick) -> dict[str, int]:
    """Judge every alert. Idempotent; beat only makes it prompt."""
    with get_engine().begin() as conn:
        changed = review(conn, datetime.now(UTC))
    if changed:
        context.get_bell().ring(TaskName.DELIVERIES_SEND)
    return {"changed": changed}
