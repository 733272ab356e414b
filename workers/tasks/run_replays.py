"""Replays: sends events again at the rate of their jobs."""

from __future__ import annotations

import threading
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from hub.core.settings import get_settings
from hub.db.engine import get_engine
from hub.queue.contracts import Doorbell, TaskName
from hub.webhooks.replay.runner import Runner
from workers import context, shutdown
from workers.task import hub_task

#: Longest time that one task serves jobs before it lets others of its queue have their turn, seconds.
_SLICE = 30.0
#: One run a process is enough: a pool of threads has other things to do.
_running = threading.Lock()


@lru_cache(maxsize=1)
def _runner() -> Runner:
    """Keeps what it knows of endpoints between runs."""
    return Runner(
        get_engine(),
        owner=context.owner(),
        sent=lambda: context.get_bell().ring(TaskName.DELIVERIES_SEND),
    )


@hub_task(TaskName.REPLAYS_RUN, Doorbell)
def run_replays(_payload: Doorbell) -> dict[str, Any]:
    """Serve the jobs that are due until none is due soon."""
    if not _running.acquire(blocking=False):
        return {"absorbed": True}
    bell = context.get_bell()
    try:
        bell.wake(TaskName.REPLAYS_RUN)
        # What rang until now is heard by the look that follows; left there, it would ring for ever.
        bell.answered(TaskName.REPLAYS_RUN)
        report = _runner().run(
            seconds=min(_SLICE, get_settings().pump_slice_seconds),
            stopping=shutdown.requested,
            # While it lives it looks for itself: rings need no message.
            alive=lambda: bell.wake(TaskName.REPLAYS_RUN),
        )
    finally:
        bell.sleep(TaskName.REPLAYS_RUN)
        _running.release()
    if report.unfinished or bell.answered_after_sleep(TaskName.REPLAYS_RUN):
        bell.ring(TaskName.REPLAYS_RUN)
    return asdict(report)
