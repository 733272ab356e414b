"""The execution pump's source: claims executions, decides what became of their calls, records.

One batch is recorded in one transaction of at most four statements: the ledger's completion, the end results of those
rows whose lease was still ours, the counters, and what is announced of them.
"""

from __future__ import annotations

import sys
import uuid
from typing import TYPE_CHECKING, Any

from hub.core.errors import HubError
from hub.db.states import State
from hub.integrations.executions import claim_store, store
from hub.integrations.executions.auditing import note_refused
from hub.integrations.executions.claimed import Claimed
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
from hub.queue.work import Source
from hub.web.bodies import parse_strict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from random import Random

    from sqlalchemy import Connection, Engine, Row

    from hub.core.clock import Clock
    from hub.db.ledger import Attempt, Completion
    from hub.integrations.directory import Directory
    from hub.integrations.executions.job import Announce, Result, Teller
    from hub.integrations.executions.store import Result as End
    from hub.integrations.metrics import Sample

#: Nesting that Python reads and writes without coming near its recursion limit; every door takes less.
_MAX_DEPTH = 512
#: Integrations that one look for those that are crowded out goes through.
_LOOKED_AT = 200
#: Bytes of inputs that a process has claimed, from which on it claims no more. Read, they may take twenty times as
#: much.
_MAX_BYTES = 16 * 1_048_576
_NIL = uuid.UUID(int=0)
#: Bytes of a failed answer that its attempt keeps.
_EXCERPT = 16_384


class ExecutionSource(Source["Job", "Result"]):
    """The pump's source on the ledger of executions.

    Args:
        engine: the database.
        directory: the integrations.
        clock: wall time, for `Retry-After` dates.
        rng: jitter.
        owner: this worker's name, written into leases and attempts.
        lease: seconds that a claim lasts.
        announce: tells others of ended executions.
        teller: makes what is told, where it costs nobody else.
        crowd: executions under way from which on an integration waits while others are crowded out; None: no such.
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
        crowd: int | None = None,
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
        self._crowd = crowd
        self._claimed = Claimed()
        self._seen = _NIL
        self._announce = announce
        self._teller = teller
        self._alarm = alarm

    def claim(self, limit: int) -> tuple[list[Job], bool]:
        """Lease up to `limit` executions, each with its integration as it is now; fewer when their inputs are large."""
        room = _MAX_BYTES - self._claimed.bytes
        if room <= 0:
            return [], False
        with self._engine.begin() as conn:
            rows = claim_store.claim(conn, owner=self._owner, limit=limit, max_bytes=room, lease=self._lease)
            jobs = self._jobs(conn, rows)
        # What did not fit comes with the next claim.
        cut = bool(rows) and self._claimed.bytes >= _MAX_BYTES // 2
        return jobs, cut or len(rows) == limit

    def claim_beside(self, limit: int) -> list[Job]:
        """Lease executions of integrations that a crowd keeps waiting; two statements, none without a crowd."""
        room = _MAX_BYTES - self._claimed.bytes
        if self._crowd is None or room <= 0 or not (crowded := self._claimed.crowded(self._crowd)):
            return []
        with self._engine.begin() as conn:
            waiting = claim_store.waiting_integrations(conn, after=self._seen, limit=_LOOKED_AT)
            # The next look goes on behind them, then begins again.
            self._seen = waiting[-1] if len(waiting) == _LOOKED_AT else _NIL
            wanted = [one for one in waiting if one not in crowded]
            if not wanted:
                return []
            each = min(self._crowd, max(1, limit // len(wanted)))
            rows = claim_store.claim_of(
                conn, wanted, owner=self._owner, limit=limit, each=each, max_bytes=room, lease=self._lease
            )
            return self._jobs(conn, rows)

    def _jobs(self, conn: Connection, rows: Sequence[Row[Any]]) -> list[Job]:
        if not rows:
            return []
        targets = self._directory.targets(conn, [(row.tenant_id, row.integration_id) for row in rows])
        jobs = [
            Job.of(
                row,
                input=_read_input(row.input),
                mapping=row.mapping,
                target=targets.get(row.integration_id),
                size=len(row.input),
                unreadable=row.integration_id in targets and targets[row.integration_id] is None,
            )
            for row in rows
        ]
        self._lengthen(conn, jobs)
        take_quota(conn, jobs, self._clock.now())
        if self._teller is not None:
            self._teller.load(conn, jobs)
        self._claimed.add(jobs)
        return jobs

    def _lengthen(self, conn: Connection, jobs: Sequence[Job]) -> None:
        """A call must end before its lease does."""
        longest: dict[uuid.UUID, float] = {}
        for job in jobs:
            if (needs := job.timeout / CALL_SHARE) > self._lease:
                longest[job.id] = needs
        if longest:
            claim_store.extend_leases(conn, list(longest), max(longest.values()))

    def finish(self, job: Job, came: Made | Stopped | None) -> Verdict:
        """Judge what came of an execution, and make what is told of its end.

        For the thread of its call: masking a large answer or what a flow publishes may take seconds, in which the
        results of everybody else would wait.
        """
        decision, attempt, end = self._judge(job, came, self._clock.now())
        if decision.state.finished:
            mapped = job.mapping is not None
            end = keep_end(job.target, job.input, end, decision.state, mapped=mapped)
            if self._teller is not None:
                self._teller.make(Ended(job, decision.state, decision.reason, end))
        job.verdict = Verdict(decision, attempt, end)
        return job.verdict

    def record(self, results: Sequence[Result]) -> Callable[[], None]:  # noqa: C901 - one pass over all
        """Decide what becomes of finished executions; the action writes it and may be repeated."""
        now = self._clock.now()
        self._claimed.remove(job for job, _ in results)
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
                    note_refused(conn, finished)
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
            return decision, None, no_answer(job, came.reason, came.message, came.timings)
        decision, attempt = given_up(job)
        return (
            decision,
            attempt,
            no_answer(job, "interrupted", "" if attempt is None else attempt.message or ""),
        )

    def weigh(self, result: Result) -> int:
        """About how many bytes its statements have: the answer, what is kept of a failure, what is told of the end."""
        job, _ = result
        if job.verdict is None:
            return 0
        decision, attempt, end = job.verdict
        told = sum(len(message.data) for message in job.published or ())
        kept = len(end.data or "") if decision.state.finished else 0
        body = len(attempt.response_body or b"") if attempt is not None else 0
        return kept + body + told

    def hand_back(self, jobs: Sequence[Job]) -> Callable[[], None]:
        """Return executions that were never started: no attempt is counted."""
        self._claimed.remove(jobs)
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
