"""The delivery pump's source and runner: claims messages and deliveries, fans out, signs, sends, records.

A message is fanned out in the worker. Its deliveries are inserted already leased to this worker as far as there is
room, so a first attempt costs no claim; the rest are inserted due. Completing the message and inserting its
deliveries is one transaction that starts with the fence check: two workers cannot fan one message out twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, Row, text

from hub.access.store import bump_config_version
from hub.core.ids import Kind, format_id, new_uuid
from hub.db.ledger import Completion
from hub.db.states import State
from hub.net.outcome import Outcome
from hub.net.transfer import Call
from hub.queue.attempts import attempt_of, interrupted_attempt
from hub.webhooks import store
from hub.webhooks.matching import matches
from hub.webhooks.retry import next_step
from hub.webhooks.signing import sign

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Sequence
    from random import Random

    from hub.core.clock import Clock
    from hub.net.multi import MultiSender
    from hub.webhooks.directory import Directory, Target

#: Messages fanned out in one claim. A claim's ten round trips are what limits one worker: fewer, larger ones.
_MESSAGES = 500
#: Bytes of a receiver's answer that are kept.
_EXCERPT = 16_384
_USER_AGENT = "User-Agent: Integration-Hub/1 (webhooks)"


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is sent of one message: the same bytes to every endpoint and at every attempt."""

    webhook_id: str
    body: bytes

    @classmethod
    def of(cls, row: Row[Any]) -> Envelope:
        """Build it from a message row; `data` goes out byte for byte as it was published."""
        stamp = row.created_at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00")
        body = f'{{"type":"{row.type}","timestamp":"{stamp}Z","data":{row.data}}}'
        return cls(row.event_id or format_id(Kind.MESSAGE, row.id), body.encode())


@dataclass(slots=True)
class Job:
    """One delivery, claimed."""

    id: uuid.UUID
    tenant_id: uuid.UUID
    fence: int
    attempt: int
    step: int
    target: Target
    envelope: Envelope
    started_at: datetime = field(default=datetime.min.replace(tzinfo=UTC))


#: A job and what came of it; None: it was cut off at shutdown.
Result = tuple[Job, Outcome | None]


class DeliverySource:
    """Claims from the ledgers of messages and deliveries, and records.

    Args:
        engine: the database.
        directory: the endpoints.
        clock: wall time for attempts.
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

    # -- claim --------------------------------------------------------------------------------------------------------

    def claim(self, limit: int) -> tuple[list[Job], bool]:
        """Lease up to `limit` deliveries: new messages first, with a quarter of the room kept for the others."""
        with self._engine.begin() as conn:
            _claims_may_be_lost(conn)
            waiting = store.DELIVERIES.claim(
                conn, owner=self._owner, limit=max(1, limit // 4), lease=self._lease
            )
            messages = store.MESSAGES.claim(
                conn, owner=self._owner, limit=min(_MESSAGES, limit), lease=self._lease
            )
        jobs = self._continue(waiting) if waiting else []
        if messages:
            jobs += self._fan_out(messages, room=limit - len(jobs))
        elif len(waiting) == max(1, limit // 4) and limit > 1:
            with self._engine.begin() as conn:
                _claims_may_be_lost(conn)
                rest = store.DELIVERIES.claim(
                    conn, owner=self._owner, limit=limit - len(waiting), lease=self._lease
                )
            jobs += self._continue(rest) if rest else []
        return jobs, bool(waiting or messages)

    def _continue(self, rows: Sequence[Row[Any]]) -> list[Job]:
        """Deliveries that were due: retries, resends, and those for which there was no room at fan-out."""
        jobs: list[Job] = []
        stopped: list[Completion] = []
        with self._engine.connect() as conn:
            self._directory.refresh(conn, {row.tenant_id for row in rows})
            envelopes = {
                key: Envelope.of(row)
                for key, row in store.load_messages(conn, {row.message_id for row in rows}).items()
            }
        for row in rows:
            target = self._directory.target(row.tenant_id, row.endpoint_id)
            envelope = envelopes.get(row.message_id)
            if target is None or envelope is None:
                reason = "endpoint_deleted" if target is None else "event_expired"
                stopped.append(
                    Completion(
                        row.id, row.tenant_id, row.fence, State.CANCELLED, step=row.step, reason=reason
                    )
                )
            elif target.hold:
                stopped.append(
                    Completion(
                        row.id, row.tenant_id, row.fence, State.HELD, step=row.step, reason=target.hold
                    )
                )
            else:
                jobs.append(Job(row.id, row.tenant_id, row.fence, row.attempt, row.step, target, envelope))
        if stopped:
            with self._engine.begin() as conn:
                self._hold_only_what_is_settled(conn, stopped)
                store.DELIVERIES.complete(conn, store.DELIVERIES.prepare(stopped, worker=self._owner))
        return jobs

    def _fan_out(self, messages: Sequence[Row[Any]], *, room: int) -> list[Job]:
        with self._engine.begin() as conn:
            self._directory.refresh(conn, {message.tenant_id for message in messages})
            pairs = [
                (
                    message,
                    [
                        t
                        for t in self._directory.targets(message.tenant_id)
                        if matches(t.patterns, message.type)
                    ],
                )
                for message in messages
            ]
            done = [
                Completion(
                    message.id,
                    message.tenant_id,
                    message.fence,
                    State.DONE,
                    reason=None if targets else "no_endpoint",
                )
                for message, targets in pairs
            ]
            ours = store.MESSAGES.complete(conn, store.MESSAGES.prepare(done, worker=self._owner))
            jobs: list[Job] = []
            rows: list[store.NewDelivery] = []
            for message, targets in pairs:
                if message.id not in ours or not targets:
                    continue
                envelope = Envelope.of(message)
                for target in targets:
                    delivery_id = new_uuid()
                    state = State.HELD if target.hold else State.LEASED if len(jobs) < room else State.DUE
                    if state is State.LEASED:
                        jobs.append(Job(delivery_id, message.tenant_id, 1, 1, 0, target, envelope))
                    rows.append(
                        store.NewDelivery(
                            delivery_id, message.tenant_id, message.id, target.id, state, target.hold
                        )
                    )
            self._hold_only_what_is_settled(conn, rows)
            if rows:
                store.insert_deliveries(conn, rows, owner=self._owner, lease=self._lease)
        return jobs

    def _hold_only_what_is_settled(
        self, conn: Connection, rows: Sequence[Completion] | Sequence[store.NewDelivery]
    ) -> None:
        """Leave due what a change of the set-up has overtaken: its next claim judges it anew."""
        held = [row for row in rows if row.state is State.HELD]
        if not held:
            return
        settled = self._directory.settled(conn, {row.tenant_id for row in held})
        for row in held:
            if row.tenant_id not in settled:
                row.state, row.reason = State.DUE, None

    # -- record -------------------------------------------------------------------------------------------------------

    def record(self, results: Sequence[Result]) -> Callable[[], None]:
        """Decide what becomes of finished deliveries; the action writes it in one statement."""
        now = self._clock.now()
        completions = []
        gone: dict[uuid.UUID, tuple[uuid.UUID, str]] = {}
        for job, outcome in results:
            if outcome is None:
                completions.append(_interrupted(job))
                continue
            decision = next_step(job.target.schedule, outcome, job.step, now, self._rng)
            if decision.disable:
                gone[job.target.id] = (job.tenant_id, decision.disable)
            completions.append(
                Completion(
                    job.id,
                    job.tenant_id,
                    job.fence,
                    decision.state,
                    decision.step,
                    decision.due_in,
                    decision.reason,
                    attempt_of(outcome, started_at=job.started_at, number=job.attempt, excerpt=_EXCERPT),
                )
            )
        prepared = store.DELIVERIES.prepare(completions, worker=self._owner)

        def write() -> None:
            with self._engine.begin() as conn:
                # Endpoint, tenant, deliveries: locks are taken in the order in which `endpoints` takes them.
                disabled = []
                for endpoint_id, (tenant_id, reason) in sorted(gone.items()):
                    if store.disable_endpoint(conn, tenant_id, endpoint_id, reason):
                        bump_config_version(conn, tenant_id)
                        disabled.append(endpoint_id)
                store.DELIVERIES.complete(conn, prepared)
                for endpoint_id in disabled:
                    store.hold_deliveries(conn, endpoint_id, "endpoint_disabled")

        return write

    def hand_back(self, jobs: Sequence[Job]) -> Callable[[], None]:
        """Return deliveries that were never sent: no attempt is counted."""
        prepared = store.DELIVERIES.prepare(
            [Completion(job.id, job.tenant_id, job.fence, State.DUE, step=job.step) for job in jobs],
            worker=self._owner,
        )

        def write() -> None:
            with self._engine.begin() as conn:
                store.DELIVERIES.complete(conn, prepared)

        return write


class DeliveryRunner:
    """Signs and sends through one curl multi handle.

    Args:
        sender: the way out.
        clock: wall time for `webhook-timestamp`.
    """

    def __init__(self, sender: MultiSender, clock: Clock) -> None:
        self._sender = sender
        self._clock = clock

    @property
    def in_flight(self) -> int:
        """Calls under way."""
        return self._sender.in_flight

    def add(self, job: Job) -> None:
        """Sign and start one delivery."""
        job.started_at = self._clock.now()
        stamp = int(job.started_at.timestamp())
        envelope = job.envelope
        signature = sign(job.target.keys, envelope.webhook_id, stamp, envelope.body)
        headers = [
            "Content-Type: application/json",
            _USER_AGENT,
            f"webhook-id: {envelope.webhook_id}",
            f"webhook-timestamp: {stamp}",
            f"webhook-signature: {signature}",
            *job.target.headers,
        ]
        self._sender.add(Call(job, job.target.url, headers, envelope.body, job.target.timeout))

    def poll(self, timeout: float) -> list[Result]:
        """What finished; waits up to `timeout` seconds."""
        return [(call.key, outcome) for call, outcome in self._sender.poll(timeout)]

    def wake(self) -> None:
        """Make a poll in another thread return."""
        self._sender.wake()

    def abort(self) -> list[Result]:
        """Cut off all calls."""
        return [(call.key, None) for call in self._sender.close()]


def _claims_may_be_lost(conn: Connection) -> None:
    """Let the claim's commit not wait for the disk: a claim that a crash forgets is a row that is still due.

    What was sent meanwhile is sent again, as after any crash between sending and recording.
    """
    conn.execute(text("SET LOCAL synchronous_commit = off"))


def _interrupted(job: Job) -> Completion:
    """It is sent again, with the same webhook-id: the receiver may have seen it or not."""
    attempt = interrupted_attempt(started_at=job.started_at, number=job.attempt)
    return Completion(job.id, job.tenant_id, job.fence, State.DUE, job.step, attempt=attempt)
