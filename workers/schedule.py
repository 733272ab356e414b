"""What beat starts, and how often. Every job is idempotent and safe to miss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.queue.contracts import TaskName

if TYPE_CHECKING:
    from hub.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Job:
    """A periodic job.

    Args:
        task: what is started.
        every: seconds.
    """

    task: TaskName
    every: float


def jobs(settings: Settings) -> tuple[Job, ...]:
    """All periodic jobs."""
    return (
        Job(TaskName.LEDGER_SWEEP, settings.sweep_interval_seconds),
        Job(TaskName.CHECKS_START, 1.0),
        Job(TaskName.SCHEDULES_START, 1.0),
        Job(TaskName.GRANTS_POLL, 5.0),
        Job(TaskName.ENDPOINTS_REVIEW, 60.0),
        Job(TaskName.ALERTS_REVIEW, 30.0),
        Job(TaskName.HISTORY_PRUNE, 600.0),
    )
