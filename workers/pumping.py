"""Runs one pump with the settings that all pumps share."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from hub.core.settings import get_settings
from hub.queue.pump import Pump
from workers import context, shutdown

if TYPE_CHECKING:
    from hub.queue.contracts import TaskName
    from hub.queue.work import Runner, Source

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_pump(
    task: TaskName,
    source: Source[Job, Result],
    runner: Runner[Job, Result],
    *,
    capacity: int,
    reserve: int = 0,
) -> dict[str, Any]:
    """Serve a queue until nothing is due; what comes back is what Flower shows.

    Args:
        task: the pump's task.
        source: claims and records.
        runner: makes the calls.
        capacity: calls in flight at most.
        reserve: calls beyond that for rows which others crowd out.
    """
    settings = get_settings()
    pump = Pump(
        task,
        source,
        runner,
        context.get_bell(),
        capacity=capacity,
        reserve=reserve,
        slice_seconds=settings.pump_slice_seconds,
        linger=settings.pump_linger_ms / 1000,
        grace=settings.worker_grace_seconds,
        stopping=shutdown.requested,
    )
    return asdict(pump.run())
