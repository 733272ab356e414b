"""The health-check pump."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hub.core.clock import SystemClock
from hub.core.settings import get_settings
from hub.db.engine import get_engine
from hub.integrations.directory import Directory
from hub.monitoring.checks import CheckSource, Job, Result, make_runner
from hub.queue.contracts import Doorbell, TaskName
from workers import context
from workers.pumping import run_pump
from workers.task import hub_task

if TYPE_CHECKING:
    from hub.integrations.threads import ThreadRunner


@lru_cache(maxsize=1)
def _runner() -> ThreadRunner[Job, Result]:
    """Lives as long as the process, so connections are reused between pumps."""
    settings = get_settings()
    return make_runner(
        context.get_tools(),
        SystemClock(),
        capacity=settings.execute_in_flight,
        lease=settings.lease_seconds,
    )


@lru_cache(maxsize=1)
def _source() -> CheckSource:
    """Keeps the directory of integrations between pumps."""
    return CheckSource(
        get_engine(),
        Directory(context.get_vault()),
        clock=SystemClock(),
        owner=context.owner(),
        lease=get_settings().lease_seconds,
    )


@hub_task(TaskName.CHECKS_RUN, Doorbell)
def run_checks(_payload: Doorbell) -> dict[str, Any]:
    """Make due health checks until there are none."""
    return run_pump(TaskName.CHECKS_RUN, _source(), _runner(), capacity=get_settings().execute_in_flight)
