"""Endpoints that fail for days are warned about, then disabled."""

from __future__ import annotations

from datetime import UTC, datetime

from hub.core.settings import get_settings
from hub.db.engine import get_engine
from hub.queue.contracts import TaskName, Tick
from hub.webhooks.review import review
from workers import context
from workers.task import hub_task


@hub_task(TaskName.ENDPOINTS_REVIEW, Tick)
def review_endpoints(_payload: Tick) -> dict[str, int]:
    """Look at the endpoints whose last success is long ago."""
    with get_engine().begin() as conn:
        done = review(conn, get_settings(), datetime.now(UTC))
    if any(done.values()):
        context.get_bell().ring(TaskName.DELIVERIES_SEND)
    return {name: count for name, count in done.items() if count}
