"""Scheduled health checks: started in batches, made by a pump, recorded in batches.

A check is a call like any other: the same integration, credentials, address policy and counters. It is made once;
what it found is its result, so a failed check is a check that is done.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.core.ids import Kind, format_id, new_uuid
from hub.db.ledger import Attempt, Completion
from hub.db.states import State
from hub.integrations.executions.store import add_metrics
from hub.integrations.metrics import Sample, fold
from hub.integrations.pipeline import chain
from hub.integrations.pipeline.authenticating import NEEDS_REAUTH
from hub.integrations.pipeline.call import Context, Stopped
from hub.integrations.threads import ThreadRunner
from hub.monitoring import store
from hub.monitoring.health import Health, Rules, Status, Verdict, judge, next_health, reason_of
from hub.net.outcome import ErrorClass, Outcome
from hub.queue.attempts import attempt_of, interrupted_attempt
from hub.queue.work import Source

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from hub.core.clock import Clock
    from hub.integrations.directory import Directory
    from hub.integrations.pipeline.call import Tools
    from hub.integrations.target import Target

log = logging.getLogger(__name__)

#: Checks that one tick starts at most; the next tick goes on.
_BATCH = 5000
#: Why no call can be made until somebody acts, though the service may be well: such a check has failed.
_NO_CREDENTIALS = frozenset({NEEDS_REAUTH, "secret_unreadable"})
#: Part of a lease that a call may take; the rest is for recording it.
_CALL_SHARE = 0.8


def start_due(conn: Connection) -> list[str]:
    """Start every check that is due, up to 5,000. Commit, then ring once for all of them.

    Args:
        conn: a connection inside a transaction.

    Returns:
        The public ids of the runs.
    """
    due = store.count_due(conn, limit=_BATCH)
    started = store.start_due(conn, [new_uuid() for _ in range(due)]) if due else []
    return [format_id(Kind.CHECK_RUN, one) for one in started]


@dataclass(slots=True)
class Job:
    """One check, claimed. `started_at` is set when its call begins."""

    id: uuid.UUID
    tenant_id: uuid.UUID
    fence: int
    attempt: int
    integration_id: uuid.UUID
    target: Target | None
    started_at: datetime | None = None


#: A job and what came of it; None: it was given up at shutdown.
Result = tuple[Job, Outcome | Stopped | None]


def make_runner(tools: Tools, clock: Clock, *, capacity: int, lease: float) -> ThreadRunner[Job, Result]:
    """The runner that makes the calls of checks.

    Args:
        tools: what the chain uses.
        clock: wall time for attempts.
        capacity: calls at once.
        lease: seconds that claims last; no call is allowed to take as long.
    """

    def work(job: Job) -> Result:
        target = job.target
        if target is None or target.health_check is None or target.hold is not None:
            return job, Stopped(State.SKIPPED, "not_checked", "There is nothing to check any more.")
        job.started_at = clock.now()
        seconds = min(target.health_check["timeout_seconds"], lease * _CALL_SHARE)
        try:
            made = chain.probe(target, Context(job.id, max_seconds=seconds), tools)
        except Exception as error:  # noqa: BLE001 - the run must end; the next one is a fresh look
            log.warning("A health check could not be made: %s", type(error).__name__)
            return job, Stopped(State.SKIPPED, "internal", "The check failed inside the hub.")
        if isinstance(made, Stopped):
            # Every call of the integration waits for the same.
            lacking = made.reason in _NO_CREDENTIALS
            return job, Outcome(None, ErrorClass.UNAUTHORIZED, made.message) if lacking else made
        return job, made.outcome

    def interrupted(job: Job) -> Result:
        return job, None

    return ThreadRunner(work, interrupted, capacity=capacity, patience=lambda _job: lease)


class CheckSource(Source["Job", "Result"]):
    """The pump's source on the ledger of check runs.

    Args:
        engine: the database.
        directory: the integrations.
        clock: wall time.
        owner: this worker's name, written into leases and attempts.
        lease: seconds that a claim lasts.
    """

    def __init__(
        self, engine: Engine, directory: Directory, *, clock: Clock, owner: str, lease: float
    ) -> None:
        self._engine = engine
        self._directory = directory
        self._clock = clock
        self._owner = owner
        self._lease = lease

    def claim(self, limit: int) -> tuple[list[Job], bool]:
        """Lease up to `limit` checks, each with its integration as it is now."""
        with self._engine.begin() as conn:
            rows = store.CHECK_RUNS.claim(conn, owner=self._owner, limit=limit, lease=self._lease)
            if not rows:
                return [], False
            targets = self._directory.targets(conn, [(row.tenant_id, row.integration_id) for row in rows])
        jobs = [
            Job(
                row.id,
                row.tenant_id,
                row.fence,
                row.attempt,
                row.integration_id,
                targets.get(row.integration_id),
            )
            for row in rows
        ]
        return jobs, len(rows) == limit

    def record(self, results: Sequence[Result]) -> Callable[[], None]:
        """Judge finished checks; the action writes runs, health, changes and counters, and may be repeated."""
        now = self._clock.now()
        judged: list[tuple[Job, Verdict, Rules]] = []
        completions: list[Completion] = []
        ends: list[dict[str, Any]] = []
        samples: dict[uuid.UUID, Sample] = {}
        for job, came in results:
            at = job.started_at or now
            if came is None:
                completions.append(_given_up(job))
                continue
            if isinstance(came, Stopped):
                completions.append(_completion(job, State.SKIPPED, came.reason, None))
                continue
            check = {} if job.target is None or job.target.health_check is None else job.target.health_check
            verdict = judge(came, at, check.get("expected_statuses", ()))
            attempt = _attempt(job, came, verdict)
            if came.error_class is ErrorClass.INTERNAL:
                # A fault of ours says nothing about the integration.
                completions.append(_completion(job, State.SKIPPED, "internal", attempt))
                continue
            completions.append(_completion(job, State.DONE, None, attempt))
            ends.append(_end(job, came, verdict))
            samples[job.id] = Sample(
                job.tenant_id, job.integration_id, at, verdict.ok, verdict.latency_ms, len(came.body)
            )
            judged.append((job, verdict, Rules(check["degraded_after_ms"], check["unhealthy_after"])))
        prepared = store.CHECK_RUNS.prepare(completions, worker=self._owner)
        judged.sort(key=lambda item: item[1].at)

        def write() -> None:
            with self._engine.begin() as conn:
                written = store.CHECK_RUNS.complete(conn, prepared)
                if ours := [end for end in ends if end["id"] in written]:
                    store.write_results(conn, ours)
                    _update_health(conn, [item for item in judged if item[0].id in written])
                    add_metrics(conn, fold((s for i, s in samples.items() if i in written), "check"))

        return write

    def hand_back(self, jobs: Sequence[Job]) -> Callable[[], None]:
        """Return checks that were never started: no attempt is counted."""
        back = [_completion(job, State.DUE, None, None) for job in jobs]
        prepared = store.CHECK_RUNS.prepare(back, worker=self._owner)

        def write() -> None:
            with self._engine.begin() as conn:
                store.CHECK_RUNS.complete(conn, prepared)

        return write


def _update_health(conn: Connection, judged: Sequence[tuple[Job, Verdict, Rules]]) -> None:
    """Three statements, however many checks: read and lock, write, record what changed."""
    before = store.lock_health(conn, {job.integration_id for job, _, _ in judged})
    after: dict[tuple[uuid.UUID, uuid.UUID], Health] = {}
    changes = []
    for job, verdict, rules in judged:
        key = (job.tenant_id, job.integration_id)
        old = after.get(key, before.get(job.integration_id))
        new = after[key] = next_health(old, verdict, rules)
        was = Status.UNKNOWN if old is None else old.status
        if was is not new.status:
            changes.append((*key, was, new.status, verdict.at, reason_of(new, rules)))
    store.write_health(conn, after)
    if changes:
        store.insert_changes(conn, changes)


def _given_up(job: Job) -> Completion:
    """The worker shut down first: checks change nothing, so it is made again."""
    if job.started_at is None:
        return _completion(job, State.DUE, None, None)
    attempt = interrupted_attempt(started_at=job.started_at, number=job.attempt)
    return _completion(job, State.DUE, None, attempt)


def _completion(job: Job, state: State, reason: str | None, attempt: Attempt | None) -> Completion:
    return Completion(job.id, job.tenant_id, job.fence, state, reason=reason, attempt=attempt)


def _attempt(job: Job, outcome: Outcome, verdict: Verdict) -> Attempt:
    """The verdict decides, not the status alone: a check can ask for a status or be slow."""
    attempt = attempt_of(outcome, started_at=verdict.at, number=job.attempt, excerpt=0)
    attempt.outcome = "succeeded" if verdict.ok else "failed"
    attempt.message = verdict.error or None
    return attempt


def _end(job: Job, outcome: Outcome, verdict: Verdict) -> dict[str, Any]:
    failed = not verdict.ok and outcome.error_class is not None
    return {
        "id": job.id,
        "ok": verdict.ok,
        "status": outcome.status,
        "latency_ms": verdict.latency_ms,
        "error_class": outcome.error_class.value if failed and outcome.error_class else None,
        "message": verdict.error or None,
    }
