"""Starts the schedules whose moment has come: a few statements and one doorbell, however many they are."""

from __future__ import annotations

from hub.db.engine import get_engine
from hub.integrations.executions.starting import start_due
from hub.queue.contracts import TaskName, Tick
from workers import context
from workers.task import hub_task

#: Transactions of one tick; each is over in half a second.
_ROUNDS = 10


@hub_task(TaskName.SCHEDULES_START, Tick)
def start_schedules(_payload: Tick) -> dict[str, int]:
    """Start due schedules. Idempotent; beat only makes it prompt."""
    count = 0
    for _ in range(_ROUNDS):
        with get_engine().begin() as conn:
            started = start_due(conn)
        if not started:
            break
        context.get_bell().ring(TaskName.EXECUTIONS_RUN, started)
        count += len(started)
    return {"started": count}
