"""Asks providers whether the people who were shown a code have typed it (device grants): nothing when nobody waits."""

from __future__ import annotations

from hub.integrations.grants.device import poll_due
from hub.queue.contracts import TaskName, Tick
from workers import context
from workers.task import hub_task


@hub_task(TaskName.GRANTS_POLL, Tick)
def poll_grants(_payload: Tick) -> dict[str, int]:
    """Ask for every device whose time has come. Each provider's interval holds, however often this runs."""
    grants = context.get_tools().grants
    return {"asked": 0 if grants is None else poll_due(grants)}
