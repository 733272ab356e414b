"""The execution pump's source: claims executions, has them called, decides, records.

One batch is recorded in one transaction of at most four statements: the ledger's completion, the end results of those
rows whose lease was still ours, the counters, and what is announced of them.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.core.errors import HubError
from hub.core.ids import Kind, format_id
from hub.db.ledger import Attempt, Completion
from hub.db.states import State
from hub.integrations.executions import store
from hub.integrations.executions.bodies import encode_body, error_of
from hub.integrations.executions.keeping import keep_attempt, keep_end
from hub.integrations.executions.quota import count_usage, take_quota
from hub.integrations.executions.store import Result as End
from hub.integrations.executions.store import add_metrics
from hub.integrations.metrics import Sample, fold
from hub.integrations.pipeline import chain
from hub.integrations.pipeline.authenticating import NEEDS_REAUTH
from hub.integrations.pipeline.call import Context, Stopped
from hub.integrations.pipeline.chain import Made
from hub.integrations.pipeline.limiting import RATE_LIMITED
from hub.integrations.pipeline.retry import Decision, is_retryable, next_attempt
from hub.integrations.threads import ThreadRunner
from hub.integrations.transports.metered import MeteredOutcome
from hub.queue.attempts import attempt_of, interrupted_attempt
from hub.web.bodies import parse_strict

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Sequence
    from datetime import date, datetime
    from random import Random

    from sqlalchemy import Connection, Engine

    from hub.core.clock import Clock
    from hub.integrations.directory import Directory
    from hub.integrations.pipeline.call import Call, Tools
    from hub.integrations.target import Target
    from hub.net.outcome import Outcome

log = logging.getLogger(__name__)

#: Part of a lease that a call may take; the rest is for recording it.
_CALL_SHARE = 0.8
#: Nesting that Python reads and writes without coming near its recursion limit; every door takes less.
_MAX_DEPTH = 512
#: Bytes of a failed answer that its attempt keeps.
_EXCERPT = 16_384
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


@dataclass(slots=True)
class Job:
    """One execution, claimed. `started_at`, `idempotent` and `call` are set when its call begins."""

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
    caller: uuid.UUID | None = None
    user: str | None = None
    traceparent: str | None = None
    depth: int = 0
    reason: str | None = None
    flow_id: uuid.UUID | None = None
    mapping: str | None = None
    over_quota: float | None = None
    #: The day on which its call was counted; None: it was not.
    counted: date | None = None
    started_at: datetime | None = None
    idempotent: bool = False
    call: Call | None = None

    @property
    def event(self) -> Any:
        """The event that a flow was started by; None for other executions."""
        return self.input if self.flow_id is not None else None


#: A job and what came of it; None: it was given up at shutdown.
Result = tuple[Job, Made | Stopped | None]


@dataclass(frozen=True, slots=True)
class Ended:
    """An execution that is at its end, for those who are told of it."""

    job: Job
    state: State
    reason: str | None
    end: End


#: Writes what others are to hear of ended executions, in the transaction that ends them; gives back what is to be done
#: after its commit.
Announce = Callable[["Connection", "Sequence[Ended]"], Callable[[], None] | None]


class CallsUnderWay:
    """The calls of a process that have left it: what can be cut off. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[uuid.UUID, Job] = {}

    def add(self, job: Job) -> None:
        """Its call begins."""
        with self._lock:
            self._jobs[job.id] = job

    def remove(self, job: Job) -> None:
        """Its call ended."""
        with self._lock:
            self._jobs.pop(job.id, None)

    def claims(self) -> dict[uuid.UUID, int]:
        """Their fences by id."""
        with self._lock:
            return {one: job.fence for one, job in self._jobs.items()}

    def cut_off(self, ids: Collection[uuid.UUID]) -> int:
        """End these calls; how many there were."""
        with self._lock:
            found = [job for one in ids if (job := self._jobs.get(one)) is not None and job.call is not None]
        for job in found:
            assert job.call is not None
            job.call.cancellation.cancel()
        return len(found)


def make_runner(
    tools: Tools, clock: Clock, *, capacity: int, lease: float, under_way: CallsUnderWay | None = None
) -> ThreadRunner[Job, Result]:
    """The runner that makes the calls of executions.

    Args:
        tools: what the chain uses.
        clock: wall time for attempts.
        capacity: calls at once.
        lease: seconds that claims last; no call is allowed to take as long.
        under_way: is told of the calls, so that they can be cut off.
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
            max_seconds=_longest(job, lease),
        )
        try:
            return job, chain.run(job.target, job.operation, job.input, context, tools, begin)
        finally:
            if under_way is not None:
                under_way.remove(job)

    def interrupted(job: Job) -> Result:
        return job, None

    return ThreadRunner(work, interrupted, capacity=capacity)


def _longest(job: Job, lease: float) -> float:
    """Seconds that its call may take; claims of long ones are given a longer lease."""
    return max(lease * _CALL_SHARE, 0.0 if job.target is None else _timeout(job))


def _timeout(job: Job) -> float:
    assert job.target is not None
    form = job.target.operations.get(job.operation)
    return (None if form is None else form.timeout) or job.target.timeout


class ExecutionSource:
    """Implements `hub.queue.pump.Source` on the ledger of executions.

    Args:
        engine: the database.
        directory: the integrations.
        clock: wall time, for `Retry-After` dates.
        rng: jitter.
        owner: this worker's name, written into leases and attempts.
        lease: seconds that a claim lasts.
        announce: tells others of ended executions.
    """

    def __init__(
        self,
        engine: Engine,
        directory: Directory,
        *,
        clock: Clock,
        rng: Random,
        owner: str,
        lease: float,
        announce: Announce | None = None,
    ) -> None:
        self._engine = engine
        self._directory = directory
        self._clock = clock
        self._rng = rng
        self._owner = owner
        self._lease = lease
        self._announce = announce

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
                    row.caller,
                    row.on_behalf_of,
                    row.traceparent,
                    row.depth,
                    row.reason,
                    row.flow_id,
                    row.mapping,
                )
                for row in rows
            ]
            self._lengthen(conn, jobs)
            take_quota(conn, jobs, self._clock.now())
        return jobs, len(rows) == limit

    def _lengthen(self, conn: Connection, jobs: Sequence[Job]) -> None:
        """A call must end before its lease does."""
        longest: dict[uuid.UUID, float] = {}
        for job in jobs:
            if job.target is not None and (needs := _timeout(job) / _CALL_SHARE) > self._lease:
                longest[job.id] = needs
        if longest:
            store.extend_leases(conn, list(longest), max(longest.values()))

    def record(self, results: Sequence[Result]) -> Callable[[], None]:  # noqa: C901 - one pass over all
        """Decide what becomes of finished executions; the action writes it and may be repeated."""
        now = self._clock.now()
        completions: list[Completion] = []
        ended: dict[uuid.UUID, Ended] = {}
        samples: dict[uuid.UUID, Sample] = {}
        used: list[tuple[Job, int, int]] = []
        held: set[uuid.UUID] = set()
        waiting: set[uuid.UUID] = set()
        for job, came in results:
            decision, attempt, end = self._judge(job, came, now)
            completions.append(_completion(job, decision, attempt))
            if isinstance(came, Made) and not came.cached:
                at = job.started_at or now
                samples[job.id] = _sample(job, came.outcome, at)
                _log(job, came, decision)
            if (spent := _spent(job, came)) is not None:
                used.append(spent)
            if decision.state is State.HELD:
                (waiting if decision.reason == NEEDS_REAUTH else held).add(job.integration_id)
            elif decision.state.finished:
                kept = keep_end(job.target, job.input, end, decision.state)
                ended[job.id] = Ended(job, decision.state, decision.reason, kept)
        prepared = store.EXECUTIONS.prepare(completions, worker=self._owner)

        def write() -> None:
            after: Callable[[], None] | None = None
            with self._engine.begin() as conn:
                written = store.EXECUTIONS.complete(conn, prepared)
                finished = [one for row_id, one in ended.items() if row_id in written]
                if finished:
                    store.write_results(conn, [one.end for one in finished])
                    if self._announce is not None:
                        after = self._announce(conn, finished)
                add_metrics(conn, fold((s for i, s in samples.items() if i in written), "call"))
                count_usage(conn, [one for one in used if one[0].id in written])
                if held:
                    store.release_if_callable(conn, held)
                if waiting:
                    store.release_needing_reauth(conn, waiting, only_granted=True)
            if after is not None:
                after()

        return write

    def _judge(
        self, job: Job, came: Made | Stopped | None, now: datetime
    ) -> tuple[Decision, Attempt | None, End]:
        """What is to become of it, the attempt that is kept, and its end, should this be it."""
        if isinstance(came, Made):
            decision = self._decide(job, came, now)
            attempt = None
            if not came.cached:
                # A good answer is the execution's result and is not stored twice.
                excerpt = 0 if came.outcome.ok else _EXCERPT
                attempt = attempt_of(
                    came.outcome, started_at=job.started_at or now, number=job.attempt, excerpt=excerpt
                )
                attempt = keep_attempt(job.target, came.outcome, attempt, excerpt)
            return decision, attempt, _end(job, came)
        if isinstance(came, Stopped):
            decision = Decision(came.state, job.step, due_in=came.due_in, reason=came.reason)
            return decision, None, _no_answer(job, came.reason, came.message)
        decision, attempt = _given_up(job)
        return (
            decision,
            attempt,
            _no_answer(job, "interrupted", "" if attempt is None else attempt.message or ""),
        )

    def hand_back(self, jobs: Sequence[Job]) -> Callable[[], None]:
        """Return executions that were never started: no attempt is counted."""
        back = [_completion(job, Decision(State.DUE, job.step), None) for job in jobs]
        prepared = store.EXECUTIONS.prepare(back, worker=self._owner)

        def write() -> None:
            with self._engine.begin() as conn:
                written = store.EXECUTIONS.complete(conn, prepared)
                count_usage(
                    conn, [(job, -1, 0) for job in jobs if job.counted is not None and job.id in written]
                )

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
            action=made.action,
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


def _spent(job: Job, came: Made | Stopped | None) -> tuple[Job, int, int] | None:
    """What is to be counted of its integration's quota: a call that was not made goes back, bytes are added."""
    if job.counted is None:
        return None
    if came is None:
        return (job, -1, 0) if job.started_at is None else None
    if isinstance(came, Stopped) or came.cached:
        return job, -1, 0
    size = len(came.outcome.body)
    return (job, 0, size) if size else None


def _sample(job: Job, outcome: Outcome, at: datetime) -> Sample:
    return Sample(
        job.tenant_id, job.integration_id, at, outcome.ok, outcome.timings.total_ms, len(outcome.body)
    )


def _end(job: Job, made: Made) -> End:
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
        request=_request(made),
        cached=made.cached,
        timings=None if made.timings is None else {name: round(ms, 3) for name, ms in made.timings.items()},
        usage=dict(outcome.usage) if isinstance(outcome, MeteredOutcome) else None,
    )


def _request(made: Made) -> dict[str, Any] | None:
    """What was sent, as far as the input does not say it."""
    if made.prepared is None:
        return None
    prepared = made.prepared
    shown: dict[str, Any] = {"method": prepared.method, "endpoint": prepared.endpoint}
    if prepared.headers:
        shown["headers"] = dict(prepared.headers)
    return shown


def _no_answer(job: Job, kind: str, message: str) -> End:
    error = {"type": kind, "message": message, "recoverable": False}
    return End(id=job.id, error=error, error_class=kind)


def _log(job: Job, made: Made, decision: Decision) -> None:
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
