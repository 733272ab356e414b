"""The execution pump's source: claims executions, has them called, decides, records.

One batch is recorded in one transaction of at most three statements: the ledger's completion, the end results of
those rows whose lease was still ours, and the counters.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.core.errors import HubError
from hub.db.ledger import Attempt, Completion
from hub.db.states import State
from hub.integrations import pipeline, store
from hub.integrations.executions import encode_body, error_of
from hub.integrations.metrics import Sample, fold
from hub.integrations.pipeline import Made, Stopped
from hub.integrations.retry import Decision, is_retryable, next_attempt
from hub.integrations.threads import ThreadRunner
from hub.queue.attempts import attempt_of, interrupted_attempt
from hub.web.bodies import parse_strict

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from random import Random

    from sqlalchemy import Engine

    from hub.core.clock import Clock
    from hub.integrations.directory import Directory, Target
    from hub.integrations.request import Request
    from hub.net.outcome import Outcome
    from hub.net.session import GuardedSession

#: Part of a lease that a call may take; the rest is for recording it.
_CALL_SHARE = 0.8
#: Nesting that Python reads and writes without coming near its recursion limit; every door takes less.
_MAX_DEPTH = 512
#: Bytes of a failed answer that its attempt keeps.
_EXCERPT = 16_384


@dataclass(slots=True)
class Job:
    """One execution, claimed. `started_at` and `idempotent` are set when its call begins."""

    id: uuid.UUID
    tenant_id: uuid.UUID
    fence: int
    attempt: int
    step: int
    integration_id: uuid.UUID
    operation: str
    input: Any
    lapses: int
    target: Target | None
    started_at: datetime | None = None
    idempotent: bool = False


#: A job and what came of it; None: it was given up at shutdown.
Result = tuple[Job, Made | Stopped | None]


def make_runner(
    session: GuardedSession, clock: Clock, *, capacity: int, lease: float
) -> ThreadRunner[Job, Result]:
    """The runner that makes the calls of executions.

    Args:
        session: the way out.
        clock: wall time for attempts.
        capacity: calls at once.
        lease: seconds that claims last; no call is allowed to take as long.
    """

    def work(job: Job) -> Result:
        def begin(request: Request) -> None:
            job.idempotent = request.idempotent
            job.started_at = clock.now()

        return job, pipeline.attempt(
            session,
            job.target,
            job.operation,
            job.input,
            repeated=job.lapses > 0,
            max_seconds=lease * _CALL_SHARE,
            begin=begin,
        )

    def interrupted(job: Job) -> Result:
        return job, None

    return ThreadRunner(work, interrupted, capacity=capacity)


class ExecutionSource:
    """Implements `hub.queue.pump.Source` on the ledger of executions.

    Args:
        engine: the database.
        directory: the integrations.
        clock: wall time, for `Retry-After` dates.
        rng: jitter.
        owner: this worker's name, written into leases and attempts.
        lease: seconds that a claim lasts.
    """

    def __init__(
        self, engine: Engine, directory: Directory, *, clock: Clock, rng: Random, owner: str, lease: float
    ) -> None:
        self._engine = engine
        self._directory = directory
        self._clock = clock
        self._rng = rng
        self._owner = owner
        self._lease = lease

    def claim(self, limit: int) -> tuple[list[Job], bool]:
        """Lease up to `limit` executions, each with its integration as it is now."""
        with self._engine.begin() as conn:
            rows = store.EXECUTIONS.claim(conn, owner=self._owner, limit=limit, lease=self._lease)
            if not rows:
                return [], False
            targets = self._directory.targets(conn, [(row.tenant_id, row.integration_id) for row in rows])
        jobs = [
            Job(
                row.id,
                row.tenant_id,
                row.fence,
                row.attempt,
                row.step,
                row.integration_id,
                row.operation,
                _read_input(row.input),
                row.lapses,
                targets[row.integration_id],
            )
            for row in rows
        ]
        return jobs, len(rows) == limit

    def record(self, results: Sequence[Result]) -> Callable[[], None]:
        """Decide what becomes of finished executions; the action writes it and may be repeated."""
        now = self._clock.now()
        completions: list[Completion] = []
        ends: dict[uuid.UUID, dict[str, Any]] = {}
        samples: dict[uuid.UUID, Sample] = {}
        held: set[uuid.UUID] = set()
        for job, came in results:
            if isinstance(came, Made):
                decision = self._decide(job, came, now)
                # A good answer is the execution's result and is not stored twice.
                excerpt = 0 if came.outcome.ok else _EXCERPT
                attempt = attempt_of(
                    came.outcome, started_at=job.started_at or now, number=job.attempt, excerpt=excerpt
                )
                if decision.state.finished:
                    ends[job.id] = _end(job, came.outcome)
                samples[job.id] = _sample(job, came.outcome, attempt.started_at)
            elif isinstance(came, Stopped):
                decision = Decision(came.state, job.step, reason=came.reason)
                attempt = None
                if came.state.finished:
                    ends[job.id] = _no_answer(job, came.reason, came.message)
                else:
                    held.add(job.integration_id)
            else:
                decision, attempt = _given_up(job)
                if decision.state.finished and attempt is not None:
                    ends[job.id] = _no_answer(job, "interrupted", attempt.message or "")
            completions.append(_completion(job, decision, attempt))
        prepared = store.EXECUTIONS.prepare(completions, worker=self._owner)

        def write() -> None:
            with self._engine.begin() as conn:
                written = store.EXECUTIONS.complete(conn, prepared)
                if finished := [end for row_id, end in ends.items() if row_id in written]:
                    store.write_results(conn, finished)
                store.add_metrics(conn, fold((s for i, s in samples.items() if i in written), "call"))
                if held:
                    store.release_if_callable(conn, held)

        return write

    def hand_back(self, jobs: Sequence[Job]) -> Callable[[], None]:
        """Return executions that were never started: no attempt is counted."""
        back = [_completion(job, Decision(State.DUE, job.step), None) for job in jobs]
        prepared = store.EXECUTIONS.prepare(back, worker=self._owner)

        def write() -> None:
            with self._engine.begin() as conn:
                store.EXECUTIONS.complete(conn, prepared)

        return write

    def _decide(self, job: Job, made: Made, now: datetime) -> Decision:
        assert job.target is not None
        return next_attempt(
            job.target.retry,
            made.outcome,
            job.step,
            now,
            self._rng,
            idempotent=made.idempotent,
            attempt=job.attempt,
        )


def _read_input(text: str) -> Any:
    """An input as a value; None when it cannot be read, which fails its execution alone as `invalid_input`."""
    try:
        return parse_strict(text.encode(), max_bytes=sys.maxsize, max_depth=_MAX_DEPTH)
    except HubError:
        return None


def _given_up(job: Job) -> tuple[Decision, Attempt | None]:
    """The worker shut down first. What had begun may have arrived, so only what is idempotent is made again."""
    if job.started_at is None:
        return Decision(State.DUE, job.step), None
    attempt = interrupted_attempt(started_at=job.started_at, number=job.attempt)
    if job.idempotent:
        return Decision(State.DUE, job.step), attempt
    return Decision(State.FAILED, job.step, reason="interrupted"), attempt


def _completion(job: Job, decision: Decision, attempt: Attempt | None) -> Completion:
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


def _sample(job: Job, outcome: Outcome, at: datetime) -> Sample:
    return Sample(
        job.tenant_id, job.integration_id, at, outcome.ok, outcome.timings.total_ms, len(outcome.body)
    )


def _end(job: Job, outcome: Outcome) -> dict[str, Any]:
    data, base64 = encode_body(outcome.body)
    error = error_of(outcome, recoverable=is_retryable(outcome))
    return {
        "id": job.id,
        "status": outcome.status,
        "headers": json.dumps(outcome.headers),
        "data": data,
        "data_base64": base64,
        "truncated": outcome.truncated,
        "error": None if error is None else json.dumps(error),
        "latency_ms": outcome.timings.total_ms,
        "data_size": len(outcome.body),
    }


def _no_answer(job: Job, kind: str, message: str) -> dict[str, Any]:
    fields: dict[str, Any] = dict.fromkeys(store.RESULT_FIELDS)
    error = {"type": kind, "message": message, "recoverable": False}
    return fields | {"id": job.id, "data_base64": False, "truncated": False, "error": json.dumps(error)}
