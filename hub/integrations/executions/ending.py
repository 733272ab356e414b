"""What is written of an execution that was made, stopped or given up. Pure, but for a line in the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hub.core.ids import Kind, format_id
from hub.db.ledger import Attempt, Completion
from hub.db.states import State
from hub.integrations.executions.bodies import encode_body, error_of
from hub.integrations.executions.sent import request_of
from hub.integrations.executions.store import Result as End
from hub.integrations.metrics import Sample
from hub.integrations.pipeline.call import Stopped
from hub.integrations.pipeline.retry import Decision, is_retryable
from hub.integrations.transports.metered import MeteredOutcome
from hub.queue.attempts import interrupted_attempt

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from hub.integrations.executions.job import Job
    from hub.integrations.pipeline.chain import Made
    from hub.net.outcome import Outcome

log = logging.getLogger(__name__)

#: Ends without a call that time alone mends: the same request may succeed later.
_PASSING = frozenset({"rate_limited", "quota_exceeded"})
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def given_up(job: Job) -> tuple[Decision, Attempt | None]:
    """The worker shut down first. What had begun may have arrived, so only what is idempotent is made again."""
    if job.started_at is None:
        return Decision(State.DUE, job.step), None
    attempt = interrupted_attempt(started_at=job.started_at, number=job.attempt)
    if job.idempotent:
        return Decision(State.DUE, job.step), attempt
    return Decision(State.FAILED, job.step, reason="interrupted"), attempt


def completion(job: Job, decision: Decision, attempt: Attempt | None) -> Completion:
    """The end of its lease."""
    return Completion(
        job.id,
        job.tenant_id,
        job.fence,
        decision.state,
        decision.step,
        decision.due_in,
        decision.reason,
        attempt,
    )


def spent(job: Job, came: Made | Stopped | None) -> tuple[Job, int, int] | None:
    """What is to be counted of its integration's quota: a call that was not made goes back, bytes are added."""
    if job.counted is None:
        return None
    if came is None:
        return (job, -1, 0) if job.started_at is None else None
    if isinstance(came, Stopped) or came.cached:
        return job, -1, 0
    return (job, 0, came.received) if came.received else None


def sample(job: Job, outcome: Outcome, at: datetime) -> Sample:
    """Its call, for the counters."""
    return Sample(
        job.tenant_id, job.integration_id, at, outcome.ok, outcome.timings.total_ms, len(outcome.body)
    )


def end_of(job: Job, made: Made) -> End:
    """The end of an execution by what its call brought."""
    outcome = made.outcome
    data, base64 = encode_body(outcome.body)
    error = error_of(outcome, recoverable=is_retryable(outcome))
    return End(
        id=job.id,
        status=outcome.status,
        headers=outcome.headers,
        data=data,
        data_base64=base64,
        truncated=outcome.truncated,
        error=error,
        error_class=None if error is None else error["type"],
        latency_ms=None if made.cached else outcome.timings.total_ms,
        data_size=len(outcome.body),
        request=request_of(job, made),
        cached=made.cached,
        timings=_rounded(made.timings),
        usage=dict(outcome.usage) if isinstance(outcome, MeteredOutcome) else None,
    )


def no_answer(job: Job, kind: str, message: str, timings: Mapping[str, float] | None = None) -> End:
    """The end of an execution without an answer.

    Args:
        job: the execution.
        kind: why it ended.
        message: a sentence for a person.
        timings: milliseconds by link, as far as it came.
    """
    error = {"type": kind, "message": message, "recoverable": kind in _PASSING}
    return End(id=job.id, error=error, error_class=kind, timings=_rounded(timings))


def _rounded(timings: Mapping[str, float] | None) -> dict[str, float] | None:
    return None if timings is None else {name: round(ms, 3) for name, ms in timings.items()}


def tell(job: Job, made: Made, decision: Decision) -> None:
    """A line for those who asked for it; it holds no contents."""
    assert job.target is not None
    if decision.state is State.FAILED:
        level = logging.ERROR
    elif decision.state is State.DUE:
        level = logging.WARNING
    else:
        level = logging.INFO
    wanted = _LEVELS[job.target.logging.level]
    if level < wanted:
        return
    outcome = made.outcome
    log.log(
        level,
        "Execution %s of %s.%s: %s after %.0f ms (status %s, %s)%s",
        format_id(Kind.EXECUTION, job.id),
        job.target.name,
        job.operation,
        decision.state.value,
        outcome.timings.total_ms,
        outcome.status,
        "ok" if outcome.error_class is None else outcome.error_class.value,
        f" {dict(made.timings or {})}" if wanted == logging.DEBUG else "",
    )
