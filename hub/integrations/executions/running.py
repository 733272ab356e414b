"""The runner that makes the calls of executions, each in a thread of its own."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from hub.integrations.executions.job import CALL_SHARE, CallsUnderWay, Job, Result
from hub.integrations.pipeline import chain, gate
from hub.integrations.pipeline.call import Context
from hub.integrations.pipeline.chain import Made
from hub.integrations.pipeline.limiting import RATE_LIMITED
from hub.integrations.threads import ThreadRunner
from hub.net.cancellation import Cancelled
from hub.net.outcome import ErrorClass, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.core.clock import Clock
    from hub.integrations.pipeline.call import Call, Stopped, Tools

#: Part of a lease after which a call is given up that does not end: a library that forgot its deadline.
_PATIENCE = 0.95


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
    giving_up = threading.Lock()

    def work(job: Job) -> Result:
        def begin(call: Call) -> None:
            assert call.prepared is not None
            with giving_up:
                if job.given_up:
                    # It is due again, or said to be interrupted: nothing may leave for it any more.
                    raise Cancelled
                job.idempotent = call.prepared.idempotent
                job.started_at = clock.now()
                job.call = call
            if under_way is not None:
                under_way.add(job)

        try:
            came = (
                gate.unreadable()
                if job.unreadable
                else chain.run(job.target, job.operation, job.input, _context(job, lease), tools, begin)
            )
        finally:
            if under_way is not None:
                under_way.remove(job)
        if finish is not None:
            # What goes wrong here goes wrong again where it is recorded, and is told there.
            with suppress(Exception):
                finish(job, came)
        return job, came

    def interrupted(job: Job) -> Result:
        with giving_up:
            job.given_up = True
        return job, None

    def overdue(job: Job) -> Result:
        interrupted(job)
        return job, _given_up(job)

    def patience(job: Job) -> float:
        # While the lease is ours, so that it can still be said what became of it.
        return _PATIENCE * max(lease, job.timeout / CALL_SHARE)

    return ThreadRunner(work, interrupted, capacity=capacity, patience=patience, overdue=overdue)


def _context(job: Job, lease: float) -> Context:
    return Context(
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


def _given_up(job: Job) -> Made:
    """What is said of a call that did not end in its time."""
    if job.call is None:
        outcome = Outcome(None, ErrorClass.INTERNAL, "The call was not made in its time and was given up.")
        return Made(outcome, idempotent=True)
    # Perhaps that wakes it.
    job.call.cancellation.cancel()
    outcome = Outcome(None, ErrorClass.TIMEOUT, "The call did not end in its time and was given up.")
    return Made(outcome, idempotent=job.idempotent, prepared=job.call.prepared)
