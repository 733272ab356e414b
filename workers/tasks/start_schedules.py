"""Starts the schedules whose moment has come: a few statements and one doorbell, however many they are."""

from __future__ import annotations

from hub.db.engine import get_engine
from hub.integrations.executions.starting import start_due
from hub.queue.contracts import TaskName, Tick
from workers import context
from workers.task import hub_task


@hub_task(TaskName.SCHEDULES_START, Tick)
def start_schedules(_payload: Tick) -> dict[str, int]:
    """Start due schedules. Idempotent; beat only makes it prompt."""
    with get_engine().begin() as conn:
        started = start_due(conn)
    if started:
        context.get_bell().ring(TaskName.EXECUTIONS_RUN, started)
    return {"started": len(started)}
