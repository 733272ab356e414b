"""The runner that makes the calls of executions, each in a thread of its own."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from hub.integrations.executions.job import CALL_SHARE, CallsUnderWay, Job, Result
from hub.integrations.pipeline import chain
from hub.integrations.pipeline.call import Context
from hub.integrations.pipeline.limiting import RATE_LIMITED
from hub.integrations.threads import ThreadRunner

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.core.clock import Clock
    from hub.integrations.pipeline.call import Call, Stopped, Tools
    from hub.integrations.pipeline.chain import Made


def make_runner(
    tools: Tools,
    clock: Clock,
    *,
    capacity: int,
    lease: float,
    under_way: CallsUnderWay | None = None,
    finish: Callable[[Job, Made | Stopped], object] | None = None,
) -> ThreadRunner[Job, Result]:
    """The runner that makes the calls of executions.

    Args:
        tools: what the chain uses.
        clock: wall time for attempts.
        capacity: calls at once.
        lease: seconds that claims last; no call is allowed to take as long.
        under_way: is told of the calls, so that they can be cut off.
        finish: judges what came, in the thread of its call; who records judges what was not.
    """

    def work(job: Job) -> Result:
        def begin(call: Call) -> None:
            assert call.prepared is not None
            job.idempotent = call.prepared.idempotent
            job.started_at = clock.now()
            job.call = call
            if under_way is not None:
                under_way.add(job)

        context = Context(
            execution_id=job.id,
            caller=job.caller,
            user=job.user,
            repeated=job.lapses > 0,
            called=job.reason == RATE_LIMITED,
            mapping=job.mapping,
            over_quota=job.over_quota,
            traceparent=job.traceparent,
            # Claims of long calls are given a longer lease.
            max_seconds=max(lease * CALL_SHARE, job.timeout),
        )
        try:
            came = chain.run(job.target, job.operation, job.input, context, tools, begin)
        finally:
            if under_way is not None:
                under_way.remove(job)
        if finish is not None:
            # What goes wrong here goes wrong again where it is recorded, and is told there.
            with suppress(Exception):
                finish(job, came)
        return job, came

    def interrupted(job: Job) -> Result:
        return job, None

    return ThreadRunner(work, interrupted, capacity=capacity)
