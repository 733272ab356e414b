"""The ledger against a model of itself: workers that crash, answers that get lost, doorbells that ring twice or never.

After every step the whole table and all attempts are compared with the model; beside that, what must hold whatever
the model says is checked on the rows alone. Time is the test's (`virtual_clock`).
"""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, Engine, text

from hub.core.ids import new_uuid
from hub.db.ledger import Attempt, Completion, Ledger
from hub.db.states import FINISHED, QUARANTINE_AFTER, QUARANTINED, TRANSITIONS, State
from tests.integration.db.rows import LEDGERS, insert_due
from tests.integration.db.virtual_clock import VirtualClock, clocked

TENANT = new_uuid()
STRANGER = new_uuid()
WORKERS = ("anna", "ben")
workers = st.sampled_from(WORKERS)
limits = st.integers(1, 4)


@dataclass
class Row:
    """What the table must hold of one row; times in seconds of the virtual clock."""

    due_at: int
    state: State = State.DUE
    lease_owner: str | None = None
    lease_until: int | None = None
    fence: int = 0
    attempt: int = 0
    step: int = 0
    lapses: int = 0
    reason: str | None = None
    finished_at: int | None = None


@dataclass(frozen=True)
class Claim:
    """What a worker knows of a row that it claimed, right or outdated."""

    id: uuid.UUID
    fence: int
    number: int
    step: int


@dataclass(frozen=True)
class Recorded:
    """One row of the attempt table."""

    work_id: uuid.UUID
    number: int
    fence: int
    worker: str
    outcome: str
    late: bool


@dataclass(frozen=True)
class Batch:
    """A prepared completion that may be sent any number of times."""

    worker: str
    completions: list[Completion]
    prepared: dict[str, Any]
    attempt_ids: list[str | None]


#: What becomes of a claim: state, outcome of the attempt (None: nothing left the hub), reason.
FATES: dict[str, tuple[State, str | None, str | None]] = {
    "done": (State.DONE, "succeeded", None),
    "failed": (State.FAILED, "failed", "exhausted"),
    "retry": (State.DUE, "failed", None),
    "cut off": (State.DUE, "interrupted", None),
    "handed back": (State.DUE, None, None),
    "held": (State.HELD, None, "endpoint_paused"),
    "skipped": (State.SKIPPED, None, "filtered"),
    "cancelled": (State.CANCELLED, None, "endpoint_deleted"),
}

#: What people and rules do: where to, from where, reason.
MOVES: dict[str, tuple[State, list[State], str | None]] = {
    "cancel": (State.CANCELLED, [State.DUE, State.LEASED, State.HELD], "cancelled"),
    "hold": (State.HELD, [State.DUE], "paused"),
    "hold also what is leased": (State.HELD, [State.DUE, State.LEASED], "paused"),
    "resume": (State.DUE, [State.HELD], None),
    "revive": (State.DUE, sorted(FINISHED), None),
    "expire": (State.EXPIRED, [State.DUE, State.HELD], "expired"),
}


class LedgerMachine(RuleBasedStateMachine):
    """One table of the ledger, two workers, a clock."""

    def __init__(self, conn: Connection, ledger: Ledger) -> None:
        super().__init__()
        self.conn = conn
        self.ledger = ledger
        conn.execute(text(f"DELETE FROM hub.{ledger.table}"))
        conn.execute(text("DELETE FROM hub.attempt"))
        self.clock = VirtualClock(conn)
        self.rows: dict[uuid.UUID, Row] = {}
        self.recorded: Counter[Recorded] = Counter()
        self.written_attempts: set[str] = set()
        self.taken: Counter[uuid.UUID] = Counter()
        self.in_hand: dict[str, list[Claim]] = {name: [] for name in WORKERS}
        self.sent: list[Batch] = []
        self.seen: dict[uuid.UUID, Row] = {}
        self.agreed = False

    # -- what happens -------------------------------------------------------------------------------------------------

    @initialize(count=st.integers(1, 4))
    def first_rows(self, count: int) -> None:
        self.insert(count, 0)

    @rule(count=st.integers(1, 3), delay=st.integers(0, 20))
    def insert(self, count: int, delay: int) -> None:
        due = self.clock.seconds + delay
        for row_id in insert_due(
            self.conn, self.ledger.table, count, tenant=TENANT, due_at=self.clock.at(due)
        ):
            self.rows[row_id] = Row(due)

    @rule(worker=workers, limit=limits, lease=st.sampled_from([5, 30]), rings=st.integers(1, 2))
    def a_doorbell_is_heard(self, worker: str, limit: int, lease: int, rings: int) -> None:
        """Rung once or twice, with work or without; a lost one is a step without this rule."""
        for _ in range(rings):
            self.claim(worker, limit, lease)

    def claim(self, worker: str, limit: int, lease: int) -> None:
        now = self.clock.seconds
        waiting = {i: row for i, row in self.rows.items() if row.state is State.DUE and row.due_at <= now}
        claimed = self.ledger.claim(self.conn, owner=worker, limit=limit, lease=lease)
        ids = {found.id for found in claimed}
        assert ids <= waiting.keys()
        assert len(ids) == len(claimed) == min(limit, len(waiting))
        if left := waiting.keys() - ids:
            assert max(waiting[i].due_at for i in ids) <= min(waiting[i].due_at for i in left)
        for found in claimed:
            row = self.rows[found.id]
            row.state, row.lease_owner, row.lease_until = State.LEASED, worker, now + lease
            row.fence += 1
            row.attempt += 1
            assert (found.tenant_id, found.fence, found.attempt) == (TENANT, row.fence, row.attempt)
            assert found.step == row.step
            self.in_hand[worker].append(Claim(found.id, found.fence, found.attempt, found.step))

    @precondition(lambda self: any(self.in_hand.values()))
    @rule(
        data=st.data(),
        answer=st.sampled_from(["comes", "comes", "is lost", "never committed"]),
        delay=st.integers(0, 60),
    )
    def complete(self, data: st.DataObject, answer: str, delay: int) -> None:
        worker = data.draw(st.sampled_from([name for name, claims in self.in_hand.items() if claims]))
        claims = data.draw(
            st.lists(st.sampled_from(self.in_hand[worker]), min_size=1, max_size=4, unique=True)
        )
        completions = [self._end(claim, data.draw(st.sampled_from(sorted(FATES))), delay) for claim in claims]
        self.in_hand[worker] = [claim for claim in self.in_hand[worker] if claim not in claims]
        prepared = self.ledger.prepare(completions, worker=worker)
        ids = [found.get("attempt_id") for found in msgspec.json.decode(prepared["rows"])]
        batch = Batch(worker, completions, prepared, ids)
        self.sent.append(batch)
        if answer == "never committed":
            self.conn.exec_driver_sql("BEGIN")
            self.ledger.complete(self.conn, prepared)
            self.conn.exec_driver_sql("ROLLBACK")
        else:
            self._send(batch)

    def _end(self, claim: Claim, fate: str, delay: int) -> Completion:
        state, outcome, reason = FATES[fate]
        attempt = (
            None if outcome is None else Attempt(self.clock.at(self.clock.seconds), outcome, claim.number)
        )
        step = claim.step + (fate == "retry")
        due_in = delay if fate == "retry" else 0
        return Completion(claim.id, TENANT, claim.fence, state, step, due_in, reason, attempt)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def a_batch_is_sent_again(self, data: st.DataObject) -> None:
        """The recorder's connection broke before the answer: it sends the very same batch, now or much later."""
        self._send(data.draw(st.sampled_from(self.sent)))

    def _send(self, batch: Batch) -> None:
        expected = set()
        for completion, attempt_id in zip(batch.completions, batch.attempt_ids, strict=True):
            row = self.rows[completion.id]
            counts = row.state is State.LEASED and row.fence == completion.fence
            if counts:
                expected.add(completion.id)
                row.state, row.step, row.reason = completion.state, completion.step, completion.reason
                row.lease_owner = row.lease_until = None
                row.finished_at = self.clock.seconds if completion.state.finished else None
                if completion.state is State.DUE:
                    row.due_at = self.clock.seconds + round(completion.due_in)
                if completion.attempt is None:
                    row.attempt -= 1
                else:
                    row.lapses = 0
            attempt = completion.attempt
            if attempt is not None and attempt_id is not None and attempt_id not in self.written_attempts:
                self.written_attempts.add(attempt_id)
                self.recorded[
                    Recorded(
                        completion.id,
                        attempt.number,
                        completion.fence,
                        batch.worker,
                        attempt.outcome,
                        not counts,
                    )
                ] += 1
        assert self.ledger.complete(self.conn, batch.prepared) == expected

    @rule(worker=workers)
    def crash(self, worker: str) -> None:
        self.in_hand[worker] = []

    @rule(seconds=st.sampled_from([1, 4, 6, 31]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(limit=limits)
    def sweep(self, limit: int) -> None:
        now = self.clock.seconds
        over = {
            i: row.lease_until
            for i, row in self.rows.items()
            if row.state is State.LEASED and row.lease_until is not None and row.lease_until < now
        }
        swept = self.ledger.lapse(self.conn, limit=limit)
        ids = {found.id for found in swept}
        assert ids <= over.keys()
        assert len(ids) == len(swept) == min(limit, len(over))
        if left := over.keys() - ids:
            assert max(over[i] for i in ids) <= min(over[i] for i in left)
        for found in swept:
            row = self.rows[found.id]
            assert row.lease_owner is not None
            self.recorded[
                Recorded(found.id, row.attempt, row.fence, row.lease_owner, "interrupted", late=False)
            ] += 1
            row.lapses += 1
            quarantined = row.lapses >= QUARANTINE_AFTER
            row.state = State.HELD if quarantined else State.DUE
            row.reason = QUARANTINED if quarantined else None
            row.due_at, row.lease_owner, row.lease_until = now, None, None
            assert (found.state, found.tenant_id) == (row.state, TENANT)

    @precondition(lambda self: self.rows)
    @rule(
        data=st.data(), what=st.sampled_from(sorted(MOVES)), tenant=st.sampled_from([TENANT] * 4 + [STRANGER])
    )
    def somebody_moves_rows(self, data: st.DataObject, what: str, tenant: uuid.UUID) -> None:
        to, allowed, reason = MOVES[what]
        ids = data.draw(st.lists(st.sampled_from(sorted(self.rows)), min_size=1, max_size=3, unique=True))
        movable = {i for i in ids if self.rows[i].state in allowed} if tenant == TENANT else set()
        assert self.ledger.move(self.conn, tenant, ids, to=to, allowed=allowed, reason=reason) == movable
        for i in movable:
            row = self.rows[i]
            self.taken[i] += row.state is State.LEASED
            row.state, row.reason, row.lapses = to, reason, 0
            row.lease_owner = row.lease_until = None
            row.finished_at = self.clock.seconds if to.finished else None
            if to is State.DUE:
                row.due_at = self.clock.seconds

    # -- what must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def the_table_is_as_the_model_says(self) -> None:
        self.agreed = False
        found = self._read()
        assert found.keys() == self.rows.keys(), "a row was lost or came from nowhere"
        assert {i: asdict(row) for i, row in found.items()} == {
            i: asdict(row) for i, row in self.rows.items()
        }
        attempts = Counter(
            Recorded(r.work_id, r.number, r.fence, r.worker, r.outcome, r.late)
            for r in self.conn.execute(
                text(
                    "SELECT work_id, number, fence, worker, outcome, late FROM hub.attempt WHERE kind = :kind"
                ),
                {"kind": self.ledger.table},
            )
        )
        assert attempts == self.recorded
        self._check_alone(found, attempts)
        self.seen = found
        self.agreed = True

    def _check_alone(self, found: dict[uuid.UUID, Row], attempts: Counter[Recorded]) -> None:
        counted = Counter(a.work_id for a in attempts.elements() if not a.late)
        for i, row in found.items():
            before = self.seen.get(i)
            if before is not None:
                assert row.fence >= before.fence, "a fence went back"
                same = row.state is before.state and row.fence == before.fence
                assert same or row.state in TRANSITIONS[before.state], f"{before.state} became {row.state}"
            assert (row.lease_owner is None) == (row.lease_until is None) == (row.state is not State.LEASED)
            assert (row.finished_at is None) == (not row.state.finished)
            # Every claim that was not given back is an attempt on record, is under way, or was taken away by a person.
            assert row.attempt == counted[i] + self.taken[i] + (row.state is State.LEASED)
            assert (row.reason == QUARANTINED) == (row.lapses == QUARANTINE_AFTER)
            assert row.lapses <= QUARANTINE_AFTER
            believers = [
                c for claims in self.in_hand.values() for c in claims if c.id == i and c.fence == row.fence
            ]
            assert len(believers) <= 1, "two workers hold one lease"

    def _read(self) -> dict[uuid.UUID, Row]:
        columns = list(Row.__dataclass_fields__)
        rows = self.conn.execute(text(f"SELECT id, {', '.join(columns)} FROM hub.{self.ledger.table}"))
        found = {}
        for row in rows:
            values = {name: getattr(row, name) for name in columns}
            for name in ("due_at", "lease_until", "finished_at"):
                values[name] = self.clock.since_start(values[name])
            found[row.id] = Row(**values | {"state": State(values["state"])})
        return found

    def teardown(self) -> None:
        """Whatever happened, every row can still be brought to an end."""
        if not self.agreed:
            return
        self.clock.advance(1_000)
        for _ in range(2):
            self.ledger.lapse(self.conn)
            self.ledger.move(self.conn, TENANT, list(self.rows), to=State.DUE, allowed=[State.HELD])
        claimed = self.ledger.claim(self.conn, owner="last", limit=1_000, lease=5)
        done = [
            Completion(
                row.id, TENANT, row.fence, State.DONE, attempt=Attempt(self.clock.at(0), "succeeded", 1)
            )
            for row in claimed
        ]
        self.ledger.complete(self.conn, self.ledger.prepare(done, worker="last"))
        assert all(row.state.finished for row in self._read().values())


@pytest.mark.timeout(400)  # a pass takes seconds; shrinking a failure to its core takes minutes
@pytest.mark.parametrize("table", sorted(LEDGERS))
def test_the_ledger_keeps_its_promises_whatever_happens(engine: Engine, table: str) -> None:
    with clocked(engine) as conn:
        run_state_machine_as_test(
            lambda: LedgerMachine(conn, LEDGERS[table]),  # type: ignore[arg-type]
            settings=settings(
                max_examples=50,
                stateful_step_count=40,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )


def test_the_ledger_runs_on_the_clock_of_the_test(engine: Engine) -> None:
    """The proof that the shadowed now() is the one that the ledger's statements call."""
    ledger = LEDGERS["execution"]
    with clocked(engine) as conn:
        clock = VirtualClock(conn)
        assert conn.scalar(text("SELECT now()")) == clock.at(0)
        (row_id,) = insert_due(conn, "execution", 1, tenant=TENANT, due_at=clock.at(10))
        assert not ledger.has_due(conn)
        assert not ledger.claim(conn, owner="anna", limit=1, lease=5)
        clock.advance(10)
        assert ledger.has_due(conn)
        assert [row.id for row in ledger.claim(conn, owner="anna", limit=1, lease=5)] == [row_id]
        clock.advance(5)
        assert not ledger.lapse(conn)
        clock.advance(1)
        assert [row.id for row in ledger.lapse(conn)] == [row_id]
    # Another connection keeps the real clock, by which the row is far in the future.
    with engine.connect() as conn:
        assert not ledger.has_due(conn)
