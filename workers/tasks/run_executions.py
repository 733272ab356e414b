"""The execution pump."""

from __future__ import annotations

from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any

from hub.core.clock import SystemClock
from hub.core.settings import get_settings
from hub.db.engine import get_engine
from hub.integrations.directory import Directory
from hub.integrations.executions.cutting import Watch
from hub.integrations.executions.job import CallsUnderWay, Job, Result
from hub.integrations.executions.pump import ExecutionSource
from hub.integrations.executions.running import make_runner
from hub.queue.alarm import Alarm
from hub.queue.contracts import Doorbell, TaskName
from workers import context
from workers.pumping import run_pump
from workers.task import hub_task

if TYPE_CHECKING:
    from hub.integrations.threads import ThreadRunner


#: An integration that has so great a part of a worker's calls leaves the reserve to others.
_CROWD = 8
#: The reserve: such a part of the calls, beyond them.
_RESERVE = 4


def _reserve() -> int:
    return max(1, get_settings().execute_in_flight // _RESERVE)


@lru_cache(maxsize=1)
def _under_way() -> CallsUnderWay:
    return CallsUnderWay()


@lru_cache(maxsize=1)
def _runner() -> ThreadRunner[Job, Result]:
    """Lives as long as the process, so connections are reused between pumps."""
    settings = get_settings()
    return make_runner(
        context.get_tools(),
        SystemClock(),
        capacity=settings.execute_in_flight + _reserve(),
        lease=settings.lease_seconds,
        under_way=_under_way(),
        finish=_source().finish,
    )


@lru_cache(maxsize=1)
def _alarm() -> Alarm:
    return Alarm(lambda: context.get_bell().ring(TaskName.EXECUTIONS_RUN))


@lru_cache(maxsize=1)
def _source() -> ExecutionSource:
    """Keeps the directory of integrations between pumps."""
    return ExecutionSource(
        get_engine(),
        Directory(context.get_vault()),
        clock=SystemClock(),
        rng=Random(),  # noqa: S311 - jitter, not a secret
        owner=context.owner(),
        lease=get_settings().lease_seconds,
        crowd=max(1, get_settings().execute_in_flight // _CROWD),
        announce=context.get_announcer().announce,
        teller=context.get_announcer(),
        alarm=_alarm().set,
    )


@hub_task(TaskName.EXECUTIONS_RUN, Doorbell)
def run_executions(_payload: Doorbell) -> dict[str, Any]:
    """Make due executions until there are none."""
    with Watch(get_engine(), _under_way()):
        return run_pump(
            TaskName.EXECUTIONS_RUN,
            _source(),
            _runner(),
            capacity=get_settings().execute_in_flight,
            reserve=_reserve(),
        )
