"""Starts the health checks that are due: one statement and one doorbell, however many they are."""

from __future__ import annotations

from hub.db.engine import get_engine
from hub.monitoring.checks import start_due
from hub.queue.contracts import TaskName, Tick
from workers import context
from workers.task import hub_task


@hub_task(TaskName.CHECKS_START, Tick)
def start_checks(_payload: Tick) -> dict[str, int]:
    """Start due checks. Idempotent; beat only makes it prompt."""
    with get_engine().begin() as conn:
        started = start_due(conn)
    if started:
        context.get_bell().ring(TaskName.CHECKS_RUN, started)
    return {"started": len(started)}
