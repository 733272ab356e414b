"""The delivery pump's source: fans messages out, claims what waits in lanes, records what came of the calls."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from hub.access.store import bump_config_version
from hub.db.lanes import BREAKER
from hub.db.ledger import Attempt, Completion
from hub.db.states import State
from hub.net.outcome import Outcome
from hub.queue.attempts import attempt_of, interrupted_attempt
from hub.queue.work import Source
from hub.webhooks import store
from hub.webhooks.admission import Ended
from hub.webhooks.breaker import Breakers, pause
from hub.webhooks.envelope import OPERATIONAL, Envelope
from hub.webhooks.fan_out import FanOut
from hub.webhooks.job import Job, NotSent
from hub.webhooks.operations import Operation, announcement, of_delivery, of_endpoint
from hub.webhooks.retry import Decision, next_step

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime
    from random import Random

    from sqlalchemy import Connection, Engine, Row

    from hub.core.clock import Clock
    from hub.webhooks.admission import Admission
    from hub.webhooks.catalogue.validation import Catalogue
    from hub.webhooks.directory import Directory
    from hub.webhooks.fan_out import Triggers
    from hub.webhooks.job import Result
    from hub.webhooks.statistics import Statistics

log = logging.getLogger(__name__)

#: Bytes of a receiver's answer that are kept.
_EXCERPT = 16_384
_EXPIRED = "event_expired"
#: Bytes of data that one claim from lanes loads.
_CLAIM_BYTES = 16 * 1_048_576
#: Holds of a target that its lane has as well.
_HELD_BY_LANE = frozenset({"endpoint_paused", "endpoint_disabled", "endpoint_unverified"})
#: How long a look waits for places when there are none for what waits, seconds; new messages wait as long.
_FULL_WAIT = 0.005
#: How long a process may not know that another one opened a breaker, seconds.
_HELD_AGE = 0.5


class DeliverySource(Source["Job", "Result"]):
    """Claims from the ledgers of messages and deliveries, and records.

    Args:
        engine: the database.
        directory: the endpoints.
        catalogue: the event types.
        admission: places for calls.
        statistics: counts attempts by endpoint.
        triggers: what else begins with events.
        clock: wall time for attempts.
        rng: jitter.
        owner: this worker's name, written into leases and attempts.
        lease: seconds that a claim lasts.
    """

    def __init__(
        self,
        engine: Engine,
        directory: Directory,
        catalogue: Catalogue,
        admission: Admission,
        statistics: Statistics,
        triggers: Triggers | None = None,
        *,
        clock: Clock,
        rng: Random,
        owner: str,
        lease: float,
    ) -> None:
        self._engine = engine
        self._directory = directory
        self._admission = admission
        self._statistics = statistics
        self._fan_out = FanOut(directory, catalogue, admission, triggers, owner=owner, lease=lease)
        self._clock = clock
        self._rng = rng
        self._owner = owner
        self._lease = lease
        self._breakers = Breakers()
        self._held: dict[uuid.UUID, int] = {}
        self._held_at = 0.0

    # -- claim --------------------------------------------------------------------------------------------------------

    def claim(self, limit: int) -> tuple[list[Job], bool]:
        """Lease up to `limit` deliveries: new messages first, with a quarter of the room kept for what waits."""
        full = self._admission.full()
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            awake, due = store.look(conn, full)
            if awake or due:
                self._learn_holds(conn)
        jobs: list[Job] = []
        more = bool(full)
        if awake:
            jobs, more = self._from_lanes(max(1, limit // 4), full)
        if more and not jobs and not due:
            # What waits is for endpoints that have their share of this process.
            self._admission.wait(_FULL_WAIT)
            return [], True
        if due:
            try:
                first, found = self._fan_out_due(limit - len(jobs))
            except SQLAlchemyError:
                if not jobs:
                    raise
                # What was claimed above is to be sent; the next look meets the same trouble.
                return jobs, True
            jobs += first
            more = more or found
        elif more and limit > len(jobs):
            rest, _ = self._from_lanes(limit - len(jobs), self._admission.full())
            jobs += rest
        return jobs, more

    def _fan_out_due(self, room: int) -> tuple[list[Job], bool]:
        jobs: list[Job] = []
        try:
            with self._engine.begin() as conn:
                jobs, found = self._fan_out.run(conn, room=room, held=self._held)
        except BaseException:
            self._fan_out.forget(jobs)
            raise
        self._fan_out.triggers.written()
        return jobs, found

    def _learn_holds(self, conn: Connection) -> None:
        now = time.monotonic()
        if now - self._held_at > _HELD_AGE:
            self._held = store.DELIVERIES.held(conn, BREAKER)
            self._held_at = now

    def _from_lanes(self, limit: int, full: Collection[uuid.UUID]) -> tuple[list[Job], bool]:
        """Deliveries that wait: retries, resends, limited endpoints, and those for which there was no room."""
        limit = min(limit, self._admission.room_for_lanes)
        if limit <= 0:
            return [], True
        with self._engine.begin() as conn:
            rows = store.DELIVERIES.claim(conn, owner=self._owner, limit=limit, lease=self._lease, full=full)
            if not rows:
                return [], bool(full)
            self._directory.refresh(conn, {row.tenant_id for row in rows})
            messages = store.load_messages(conn, {row.message_id for row in rows}, max_bytes=_CLAIM_BYTES)
            envelopes = {
                key: Envelope.of(row, row.expires_at, row.traceparent)
                for key, row in messages.items()
                if row.data is not None
            }
            expired = {key for key, row in messages.items() if row.expired}
            jobs: list[Job] = []
            ended: list[Completion] = []
            for row in rows:
                if row.message_id in messages and row.message_id not in envelopes:
                    # Too much for one claim: the next one has it.
                    ended.append(Completion(row.id, row.tenant_id, row.fence, State.DUE, row.step))
                    continue
                job = self._job(row, envelopes.get(row.message_id), row.message_id in expired)
                if isinstance(job, Completion):
                    ended.append(job)
                else:
                    jobs.append(job)
            if ended:
                store.DELIVERIES.complete(conn, store.DELIVERIES.prepare(ended, worker=self._owner))
        for job in jobs:
            self._admission.take(job.target.id, job.size)
        return _batched(jobs), True

    def _job(self, row: Row[Any], envelope: Envelope | None, expired: bool) -> Job | Completion:  # noqa: FBT001
        target = self._directory.target(row.tenant_id, row.endpoint_id)
        state, reason = State.CANCELLED, store.ENDPOINT_DELETED
        if target is not None and envelope is not None and not expired and target.hold is None:
            return Job(
                row.id, row.tenant_id, row.fence, row.attempt, row.step, target, envelope, envelope.body,
                replay_no=row.replay_no, from_lane=True, probe=row.probe,
            )  # fmt: skip
        due_in = 0.0
        if target is not None:
            state, reason = State.EXPIRED, _EXPIRED
            if envelope is not None and not expired:
                # Paused this moment: its lane holds it. Not readable: a new key or a new row may mend it.
                due_in = 0.0 if target.hold in _HELD_BY_LANE else 60.0
                state, reason = State.DUE, target.hold or ""
        return Completion(row.id, row.tenant_id, row.fence, state, row.step, due_in, reason)

    # -- record -------------------------------------------------------------------------------------------------------

    def record(self, results: Sequence[Result]) -> Callable[[], None]:
        """Decide what becomes of finished deliveries; the action writes it."""
        deciding = _Deciding()
        now = self._clock.now()
        for job, outcome in results:
            for one in (job, *job.others):
                self._decide(one, job, one.verdict or outcome, now, deciding)
        opened, closed = self._judge_breakers(deciding)
        prepared = store.DELIVERIES.prepare(deciding.completions, worker=self._owner)
        flush = self._statistics.flush_if_due(time.monotonic())

        def write() -> None:
            with self._engine.begin() as conn:
                # Endpoint, tenant, deliveries, lanes: locks are taken in the order in which `endpoints` takes them.
                disabled = self._disable(conn, deciding)
                touched = sorted({*opened, *closed, *disabled})
                store.DELIVERIES.complete(conn, prepared, touched)
                for endpoint_id in touched:
                    if endpoint_id in disabled:
                        store.DELIVERIES.hold(conn, endpoint_id, "endpoint_disabled")
                    elif endpoint_id in closed:
                        store.DELIVERIES.release(conn, endpoint_id, only=BREAKER)
                    else:
                        seconds = pause(self._held.get(endpoint_id, 0))
                        store.DELIVERIES.hold(conn, endpoint_id, BREAKER, seconds=seconds)
                if deciding.announcements:
                    store.insert_messages(conn, deciding.announcements)
                flush(conn)
            self._held = {
                **{e: n for e, n in self._held.items() if e not in closed},
                **{e: self._held.get(e, 0) + 1 for e in opened},
            }
            deciding.release(self._admission)

        return write

    def _decide(self, one: Job, call: Job, outcome: Any, now: datetime, deciding: _Deciding) -> None:
        deciding.ended.append(_ended(one, outcome))
        if outcome is None:
            deciding.completions.append(_interrupted(one, call))
            return
        if isinstance(outcome, NotSent):
            deciding.completions.append(_not_sent(one, outcome, now))
            return
        endpoint_id = one.target.id
        schedule = self._directory.schedule(one.tenant_id, one.target, one.envelope.type)
        decision = next_step(schedule, outcome, one.step, now, self._rng)
        if decision.state is State.DUE and one.envelope.ends_before(now + timedelta(seconds=decision.due_in)):
            decision = Decision(State.EXPIRED, step=decision.step, reason=_EXPIRED)
        if decision.disable:
            deciding.disable[endpoint_id] = (one, decision.disable)
        if one is call:
            calls = deciding.calls.setdefault(endpoint_id, [0, 0])
            calls[0] += 1
            calls[1] += not outcome.ok
        if outcome.ok:
            deciding.answered.add(endpoint_id)
        elif one.probe:
            deciding.probed.add(endpoint_id)
        if decision.state is State.FAILED:
            self._announce(deciding, one, Operation.MESSAGE_EXHAUSTED, outcome, decision.reason)
        elif one.replay_no and outcome.ok:
            self._announce(deciding, one, Operation.MESSAGE_RECOVERED, outcome, None)
        self._statistics.count(one, call.started_at, outcome)
        attempt = attempt_of(outcome, started_at=call.started_at, number=one.attempt, excerpt=_EXCERPT)
        attempt.request_headers = call.request_headers
        deciding.completions.append(
            Completion(
                one.id, one.tenant_id, one.fence, decision.state, decision.step, decision.due_in, decision.reason,
                attempt,
            )
        )  # fmt: skip

    def _announce(
        self, deciding: _Deciding, one: Job, operation: Operation, outcome: Outcome, reason: str | None
    ) -> None:
        if one.envelope.source != OPERATIONAL and self._directory.subscribers(
            one.tenant_id, "operations", operation.value
        ):
            data = of_delivery(one, outcome, reason)
            deciding.announcements.append(announcement(one.tenant_id, operation, data))

    def _judge_breakers(self, deciding: _Deciding) -> tuple[list[uuid.UUID], list[uuid.UUID]]:
        """The endpoints whose breaker is to be opened, and closed."""
        now = time.monotonic()
        opened = [
            endpoint_id
            for endpoint_id, (calls, failed) in deciding.calls.items()
            if endpoint_id not in self._held and self._breakers.count(endpoint_id, calls, failed, now)
        ]
        opened += [e for e in deciding.probed if e in self._held and e not in deciding.answered]
        return opened, [e for e in deciding.answered if e in self._held]

    def _disable(self, conn: Connection, deciding: _Deciding) -> set[uuid.UUID]:
        """Disable the endpoints whose receivers said so; those for which it was not yet done."""
        disabled = set()
        for endpoint_id, (job, reason) in sorted(deciding.disable.items()):
            if not store.disable_endpoint(conn, job.tenant_id, endpoint_id, reason, url=job.target.url):
                continue
            bump_config_version(conn, job.tenant_id)
            disabled.add(endpoint_id)
            if job.envelope.source != OPERATIONAL and store.has_operations_endpoint(conn, job.tenant_id):
                data = of_endpoint(endpoint_id, job.target.name, reason)
                store.insert_messages(conn, [announcement(job.tenant_id, Operation.ENDPOINT_DISABLED, data)])
        return disabled

    def hand_back(self, jobs: Sequence[Job]) -> Callable[[], None]:
        """Return deliveries that were never sent: no attempt is counted."""
        every = [one for job in jobs for one in (job, *job.others)]
        prepared = store.DELIVERIES.prepare(
            [Completion(job.id, job.tenant_id, job.fence, State.DUE, step=job.step) for job in every],
            worker=self._owner,
        )
        deciding = _Deciding()
        deciding.ended = [_ended(one, None) for one in every]

        def write() -> None:
            with self._engine.begin() as conn:
                store.DELIVERIES.complete(conn, prepared)
            deciding.release(self._admission)

        return write

    def flush(self) -> None:
        """Write the statistics that were not written yet."""
        flush = self._statistics.flush_if_due(None)
        try:
            with self._engine.begin() as conn:
                flush(conn)
        except SQLAlchemyError as error:
            log.warning("Statistics of endpoints were not written (%s).", type(error).__name__)


class _Deciding:
    """What a batch of results brings."""

    def __init__(self) -> None:
        self.completions: list[Completion] = []
        self.disable: dict[uuid.UUID, tuple[Job, str]] = {}
        self.announcements: list[store.NewMessage] = []
        self.calls: dict[uuid.UUID, list[int]] = {}
        self.answered: set[uuid.UUID] = set()
        self.probed: set[uuid.UUID] = set()
        self.ended: list[Ended] = []

    def release(self, admission: Admission) -> None:
        """Give the places back, once."""
        ended, self.ended = self.ended, []
        admission.release(ended)


def _ended(one: Job, outcome: Outcome | NotSent | None) -> Ended:
    seconds = outcome.timings.total_ms / 1000 if isinstance(outcome, Outcome) else None
    return Ended(one.target.id, one.size, one.from_lane, seconds)


def _batched(jobs: Sequence[Job]) -> list[Job]:
    """Put the deliveries of endpoints with batches together."""
    calls: list[Job] = []
    open_batches: dict[uuid.UUID, list[Job]] = {}
    for job in jobs:
        if job.target.batch_size == 1:
            calls.append(job)
            continue
        batch = open_batches.setdefault(job.target.id, [])
        batch.append(job)
        if len(batch) == job.target.batch_size:
            calls.append(_batch(open_batches.pop(job.target.id)))
    calls += [_batch(batch) for batch in open_batches.values()]
    return calls


def _batch(jobs: list[Job]) -> Job:
    first = jobs[0]
    first.others = tuple(jobs[1:])
    return first


def _interrupted(one: Job, call: Job) -> Completion:
    """It is sent again, with the same webhook-id: the receiver may have seen it or not."""
    attempt = interrupted_attempt(started_at=call.started_at, number=one.attempt)
    return Completion(one.id, one.tenant_id, one.fence, State.DUE, one.step, attempt=attempt)


def _not_sent(one: Job, verdict: NotSent, now: datetime) -> Completion:
    attempt = None
    if verdict.message:
        attempt = Attempt(now, "failed", one.attempt, error_class=verdict.reason, message=verdict.message)
    return Completion(
        one.id, one.tenant_id, one.fence, verdict.state, one.step, reason=verdict.reason, attempt=attempt
    )
