"""The execution pump's source: claims executions, decides what became of their calls, records.

One batch is recorded in one transaction of at most four statements: the ledger's completion, the end results of those
rows whose lease was still ours, the counters, and what is announced of them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from hub.core.errors import HubError
from hub.db.states import State
from hub.integrations.executions import store
from hub.integrations.executions.ending import completion, end_of, given_up, no_answer, sample, spent, tell
from hub.integrations.executions.job import CALL_SHARE, Ended, Job, Verdict
from hub.integrations.executions.keeping import keep_attempt, keep_end
from hub.integrations.executions.quota import count_usage, take_quota
from hub.integrations.executions.release_store import release_if_callable, release_needing_reauth
from hub.integrations.metrics import fold
from hub.integrations.pipeline.authenticating import NEEDS_REAUTH
from hub.integrations.pipeline.call import Stopped
from hub.integrations.pipeline.chain import Made
from hub.integrations.pipeline.retry import Decision, next_attempt
from hub.queue.attempts import attempt_of
from hub.web.bodies import parse_strict

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from random import Random

    from sqlalchemy import Connection, Engine

    from hub.core.clock import Clock
    from hub.db.ledger import Attempt, Completion
    from hub.integrations.directory import Directory
    from hub.integrations.executions.job import Announce, Result, Teller
    from hub.integrations.executions.store import Result as End
    from hub.integrations.metrics import Sample

#: Nesting that Python reads and writes without coming near its recursion limit; every door takes less.
_MAX_DEPTH = 512
#: Bytes of a failed answer that its attempt keeps.
_EXCERPT = 16_384


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
        teller: makes what is told, where it costs nobody else.
        alarm: is told in how many seconds something that was put off falls due.
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
        teller: Teller | None = None,
        alarm: Callable[[float], object] | None = None,
    ) -> None:
        self._engine = engine
        self._directory = directory
        self._clock = clock
        self._rng = rng
        self._owner = owner
        self._lease = lease
        self._announce = announce
        self._teller = teller
        self._alarm = alarm

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
            if self._teller is not None:
                self._teller.load(conn, jobs)
        return jobs, len(rows) == limit

    def _lengthen(self, conn: Connection, jobs: Sequence[Job]) -> None:
        """A call must end before its lease does."""
        longest: dict[uuid.UUID, float] = {}
        for job in jobs:
            if (needs := job.timeout / CALL_SHARE) > self._lease:
                longest[job.id] = needs
        if longest:
            store.extend_leases(conn, list(longest), max(longest.values()))

    def finish(self, job: Job, came: Made | Stopped | None) -> Verdict:
        """Judge what came of an execution, and make what is told of its end.

        For the thread of its call: masking a large answer or what a flow publishes may take seconds, in which the
        results of everybody else would wait.
        """
        decision, attempt, end = self._judge(job, came, self._clock.now())
        if decision.state.finished:
            end = keep_end(job.target, job.input, end, decision.state)
            if self._teller is not None:
                self._teller.make(Ended(job, decision.state, decision.reason, end))
        job.verdict = Verdict(decision, attempt, end)
        return job.verdict

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
            decision, attempt, end = (came and job.verdict) or self.finish(job, came)
            completions.append(completion(job, decision, attempt))
            if isinstance(came, Made) and not came.cached:
                at = job.started_at or now
                samples[job.id] = sample(job, came.outcome, at)
                tell(job, came, decision)
            if (counted := spent(job, came)) is not None:
                used.append(counted)
            if decision.state is State.HELD:
                (waiting if decision.reason == NEEDS_REAUTH else held).add(job.integration_id)
            elif decision.state.finished:
                ended[job.id] = Ended(job, decision.state, decision.reason, end)
        prepared = store.EXECUTIONS.prepare(completions, worker=self._owner)
        put_off = {round(one.due_in, 2) for one in completions if one.state is State.DUE}

        def write() -> None:
            after: Callable[[], None] | None = None
            with self._engine.begin() as conn:
                written = store.EXECUTIONS.complete(conn, prepared)
                finished = [one for row_id, one in ended.items() if row_id in written]
                if finished:
                    store.write_results(conn, [one.end for one in finished])
                    if self._announce is not None:
                        after = self._announce(conn, finished)
                store.add_metrics(conn, fold((s for i, s in samples.items() if i in written), "call"))
                count_usage(conn, [one for one in used if one[0].id in written])
                if held:
                    release_if_callable(conn, held)
                if waiting:
                    release_needing_reauth(conn, waiting, only_granted=True)
            if after is not None:
                after()
            if self._alarm is not None:
                for seconds in put_off:
                    self._alarm(seconds)

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
            return decision, attempt, end_of(job, came)
        if isinstance(came, Stopped):
            decision = Decision(came.state, job.step, due_in=came.due_in, reason=came.reason)
            return decision, None, no_answer(job, came.reason, came.message)
        decision, attempt = given_up(job)
        return (
            decision,
            attempt,
            no_answer(job, "interrupted", "" if attempt is None else attempt.message or ""),
        )

    def hand_back(self, jobs: Sequence[Job]) -> Callable[[], None]:
        """Return executions that were never started: no attempt is counted."""
        back = [completion(job, Decision(State.DUE, job.step), None) for job in jobs]
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
            unknown=made.unknown,
        )


def _read_input(text: str) -> Any:
    """An input as a value; None when it cannot be read, which fails its execution alone as `invalid_input`."""
    try:
        return parse_strict(text.encode(), max_bytes=sys.maxsize, max_depth=_MAX_DEPTH)
    except HubError:
        return None
