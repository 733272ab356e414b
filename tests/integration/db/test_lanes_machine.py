"""Lanes against what must hold of them: workers that crash, stale results, limits that change, breakers, discards.

The ledger itself has a machine of its own; here the tables beside it are looked at after every step. Time is the
test's (`virtual_clock`).
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

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
from hub.db.lanes import BREAKER, Limits
from hub.db.ledger import Attempt, Completion
from hub.db.states import FINISHED, QUARANTINE_AFTER, State
from hub.webhooks.store import DELIVERIES
from tests.integration.db.lane_rows import enter, lease_at_fan_out, make_lanes
from tests.integration.db.virtual_clock import VirtualClock, clocked

TENANT = new_uuid()
WORKERS = ("anna", "ben")
GONE = "endpoint_deleted"
LIMITS = {
    "none": Limits(),
    "one call": Limits(max_in_flight=1),
    "two calls": Limits(max_in_flight=2),
    "two batches": Limits(max_in_flight=2, batch_size=2, batch_wait=5),
    "batches": Limits(batch_size=3, batch_wait=10),
    "slow": Limits(rate=0.5),
    "three a second, two calls": Limits(max_in_flight=2, rate=3),
    "slow drain": Limits(drain_rate=1),
}
#: What becomes of a claim: state, outcome of the attempt (None: nothing left the hub).
FATES = {
    "done": (State.DONE, "succeeded"),
    "failed": (State.FAILED, "failed"),
    "retry": (State.DUE, "failed"),
    "cut off": (State.DUE, "interrupted"),
    "handed back": (State.DUE, None),
}
lanes_ = st.integers(0, 2)


@dataclass
class Lane:
    """What the test knows of a lane."""

    id: uuid.UUID
    limits: Limits = field(default_factory=Limits)
    hold: str | None = None
    #: While a probe is under way there is no other.
    probe_until: datetime | None = None
    #: Since when its rate holds, and the calls since then.
    since: datetime | None = None
    calls: int = 0
    discarded: str | None = None


@dataclass
class Work:
    """What the test knows of a row."""

    lane: int
    key: str | None
    state: State = State.DUE
    fence: int = 0
    attempt: int = 0
    lapses: int = 0
    #: Somebody sent it again: it does not wait for its key any more.
    revived: bool = False


@dataclass(frozen=True)
class Claim:
    """What a worker knows of a row that it claimed."""

    id: uuid.UUID
    fence: int
    attempt: int
    step: int


class LanesMachine(RuleBasedStateMachine):
    """Three lanes, two workers, a clock."""

    def __init__(self, conn: Connection) -> None:
        super().__init__()
        self.conn = conn
        for table in (
            "delivery",
            "delivery_lane",
            "delivery_waiting",
            "delivery_lease",
            "delivery_order",
            "attempt",
        ):
            conn.execute(text(f"DELETE FROM hub.{table}"))
        self.clock = VirtualClock(conn)
        self.lanes = [Lane(lane) for lane in make_lanes(conn, 3, tenant=TENANT)]
        self.rows: dict[uuid.UUID, Work] = {}
        self.in_hand: dict[str, list[Claim]] = {name: [] for name in WORKERS}
        self.sent: list[tuple[list[Completion], dict[str, Any]]] = []
        self.attempts = 0
        self.agreed = False

    @property
    def now(self) -> datetime:
        return self.clock.at(self.clock.seconds)

    def room(self, lane: Lane) -> bool:
        in_flight: int = self.read_lane(lane).in_flight
        return in_flight < (lane.limits.max_in_flight or 10**6) * lane.limits.batch_size

    def read_lane(self, lane: Lane) -> Any:
        return self.conn.execute(
            text(
                "SELECT in_flight, draining, tokens, refilled_at, hold, replace(hold_until::text, 'infinity', '9999-01-01')"
                "::timestamptz AS hold_until, replace(wake_at::text, 'infinity', '9999-01-01')::timestamptz AS wake_at"
                " FROM hub.delivery_lane WHERE endpoint_id = :id"
            ),
            {"id": lane.id},
        ).one()

    # -- what happens -------------------------------------------------------------------------------------------------

    @initialize(
        limits=st.lists(st.sampled_from(sorted(LIMITS)), min_size=3, max_size=3), count=st.integers(1, 4)
    )
    def limits_and_first_rows(self, limits: list[str], count: int) -> None:
        for lane, name in enumerate(limits):
            self.limit(lane, name)
            self.publish(lane, count, None, 0)

    @rule(
        lane=lanes_,
        count=st.integers(1, 4),
        key=st.sampled_from([None, None, "a", "b"]),
        delay=st.sampled_from([0, 0, 7]),
    )
    def publish(self, lane: int, count: int, key: str | None, delay: int) -> None:
        # A message that is due later is not fanned out earlier: only unordered rows, such as retries, are due later.
        at = self.now + timedelta(seconds=delay if key is None else 0)
        for row_id in enter(self.conn, self.lanes[lane].id, count, tenant=TENANT, key=key, at=at):
            self.rows[row_id] = Work(lane, key)

    @rule(
        worker=st.sampled_from(WORKERS), lane=lanes_, count=st.integers(1, 2), lease=st.sampled_from([5, 30])
    )
    def lease_while_fanning_out(self, worker: str, lane: int, count: int, lease: int) -> None:
        ids = lease_at_fan_out(
            self.conn, self.lanes[lane].id, count, tenant=TENANT, owner=worker, lease=lease
        )
        for row_id in ids:
            self.rows[row_id] = Work(lane, None, State.LEASED, 1, 1)
            self.in_hand[worker].append(Claim(row_id, 1, 1, 0))

    @rule(
        worker=st.sampled_from(WORKERS),
        # Shared evenly by one, two or three lanes: which of them is looked at first is nobody's promise.
        limit=st.sampled_from([6, 12]),
        lease=st.sampled_from([5, 30]),
        full=st.sampled_from([None, None, None, 0, 1]),
    )
    def claim(self, worker: str, limit: int, lease: int, full: int | None) -> None:
        awake = {
            n
            for n, lane in enumerate(self.lanes)
            if (at := self.read_lane(lane).wake_at) is not None and at <= self.now and n != full
        }
        before = {n: self._claimable(self.lanes[n]) for n in awake}
        claimed = DELIVERIES.claim(
            self.conn,
            owner=worker,
            limit=limit,
            lease=lease,
            full=[] if full is None else [self.lanes[full].id],
        )
        by_lane: dict[int, list[Any]] = defaultdict(list)
        for found in sorted(claimed, key=lambda found: found.id):
            row = self.rows[found.id]
            assert row.state is State.DUE
            row.state, row.fence, row.attempt = State.LEASED, row.fence + 1, row.attempt + 1
            assert (found.fence, found.attempt, found.tenant_id) == (row.fence, row.attempt, TENANT)
            by_lane[row.lane].append(found)
            self.in_hand[worker].append(Claim(found.id, found.fence, found.attempt, found.step))
        assert sum(-(-len(found) // self.lanes[n].limits.batch_size) for n, found in by_lane.items()) <= limit
        assert by_lane.keys() <= awake
        for n, rows in by_lane.items():
            self._check_claim(self.lanes[n], rows, lease)
        starved = {n for n, count in before.items() if count} - by_lane.keys()
        assert not starved, "an awake lane with something due and room got nothing"

    def _claimable(self, lane: Lane) -> int:
        """Rows that are due in a lane that may give some."""
        row = self.read_lane(lane)
        pace = lane.limits.rate
        if row.draining:
            pace = min(p for p in (lane.limits.rate, lane.limits.drain_rate) if p is not None)
        if pace is not None:
            elapsed = (self.now - row.refilled_at).total_seconds()
            if min(row.tokens + pace * elapsed, max(pace, 1)) < 1 and lane.hold is None:
                return 0
        if lane.hold is None and not self.room(lane):
            return 0
        count: int = self.conn.scalar(
            text("SELECT count(*) FROM hub.delivery_waiting WHERE endpoint_id = :id AND due_at <= now()"),
            {"id": lane.id},
        )
        return count

    def _check_claim(self, lane: Lane, claimed: list[Any], lease: int) -> None:
        if lane.hold is not None:
            assert lane.hold == BREAKER, "a lane that somebody holds gave something"
            assert [found.probe for found in claimed] == [True]
            assert lane.probe_until is None or lane.probe_until <= self.now, "two probes at once"
            lane.probe_until = self.now + timedelta(seconds=lease)
        else:
            assert not any(found.probe for found in claimed)
            most = lane.limits.max_in_flight
            assert most is None or self.read_lane(lane).in_flight <= max(most * lane.limits.batch_size, 0)
        if lane.limits.rate is not None and lane.since is not None:
            if lane.hold is None:
                lane.calls += -(-len(claimed) // lane.limits.batch_size)
            elapsed = (self.now - lane.since).total_seconds()
            assert lane.calls <= max(lane.limits.rate, 1) + lane.limits.rate * elapsed + 1e-6
        for found in claimed:
            row = self.rows[found.id]
            if row.key is None or row.revived:
                continue
            ahead = [
                i
                for i, other in self.rows.items()
                if i < found.id
                and (other.lane, other.key, other.revived) == (row.lane, row.key, False)
                and not other.state.finished
            ]
            assert not ahead, "a row overtook one of its key"

    @precondition(lambda self: any(self.in_hand.values()))
    @rule(data=st.data(), delay=st.integers(0, 60), lost=st.booleans())
    def complete(self, data: st.DataObject, delay: int, lost: bool) -> None:
        worker = data.draw(st.sampled_from([name for name, claims in self.in_hand.items() if claims]))
        claims = data.draw(
            st.lists(st.sampled_from(self.in_hand[worker]), min_size=1, max_size=4, unique_by=lambda c: c.id)
        )
        completions = []
        for claim in claims:
            fate = data.draw(st.sampled_from(sorted(FATES)))
            state, outcome = FATES[fate]
            attempt = None if outcome is None else Attempt(self.now, outcome, claim.attempt)
            due_in = delay if fate == "retry" else 0
            completions.append(
                Completion(claim.id, TENANT, claim.fence, state, claim.step, due_in, attempt=attempt)
            )
        self.in_hand[worker] = [claim for claim in self.in_hand[worker] if claim not in claims]
        prepared = DELIVERIES.prepare(completions, worker=worker)
        self.sent.append((completions, prepared))
        self.attempts += sum(completion.attempt is not None for completion in completions)
        if lost:
            # The worker does not hear the answer and sends it all again.
            self._send(completions, prepared)
        self._send(completions, prepared)

    def _send(self, completions: list[Completion], prepared: dict[str, Any]) -> None:
        expected = set()
        for completion in completions:
            row = self.rows[completion.id]
            if row.state is not State.LEASED or row.fence != completion.fence:
                continue
            expected.add(completion.id)
            row.state = completion.state
            if completion.attempt is None:
                row.attempt -= 1
            else:
                row.lapses = 0
        lock = [lane.id for lane in self.lanes]
        assert DELIVERIES.complete(self.conn, prepared, lock) == expected, "a stale result counted"

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def an_old_result_comes_again(self, data: st.DataObject) -> None:
        self._send(*data.draw(st.sampled_from(self.sent)))

    @rule(worker=st.sampled_from(WORKERS))
    def crash(self, worker: str) -> None:
        self.in_hand[worker] = []

    @rule(seconds=st.sampled_from([1, 4, 6, 31]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule()
    def sweep(self) -> None:
        while swept := DELIVERIES.lapse(self.conn, limit=1):
            for found in swept:
                row = self.rows[found.id]
                assert row.state is State.LEASED
                row.lapses += 1
                row.state = State.HELD if row.lapses >= QUARANTINE_AFTER else State.DUE
                assert found.state == row.state
                self.attempts += 1
        self.lapsed_are_found()

    def lapsed_are_found(self) -> None:
        left = self.conn.scalar(
            text("SELECT count(*) FROM hub.delivery WHERE state = 'leased' AND lease_until < now()")
        )
        assert left == 0, "a lease lapsed and nobody will ever know"

    @precondition(lambda self: self.rows)
    @rule(data=st.data(), to=st.sampled_from([State.CANCELLED, State.DUE]))
    def somebody_cancels_or_revives(self, data: st.DataObject, to: State) -> None:
        if to is State.DUE:
            for i in self._move(data, to, [*sorted(FINISHED), State.HELD, State.DUE]):
                self.rows[i].revived = True
        else:
            self._move(data, to, [State.DUE, State.LEASED, State.HELD])

    def _move(self, data: st.DataObject, to: State, allowed: list[State]) -> set[uuid.UUID]:
        under_way = [i for i, row in sorted(self.rows.items()) if row.state is State.LEASED]
        rather: bool = data.draw(st.booleans())
        some = under_way if rather and under_way else sorted(self.rows)
        ids = data.draw(st.lists(st.sampled_from(some), min_size=1, max_size=4, unique=True))
        movable = {i for i in ids if self.rows[i].state in allowed}
        assert DELIVERIES.move(self.conn, new_uuid(), ids, to=to, allowed=allowed) == set()
        assert DELIVERIES.move(self.conn, TENANT, ids, to=to, allowed=allowed) == movable
        for i in movable:
            self.rows[i].state, self.rows[i].lapses = to, 0
        return movable

    @rule(
        data=st.data(), lane=lanes_, what=st.sampled_from(["hold", "hold", "release", "configure", "discard"])
    )
    def somebody_changes_a_lane(self, data: st.DataObject, lane: int, what: str) -> None:
        getattr(self, what)(data, lane)

    def hold(self, data: st.DataObject, lane: int) -> None:
        one = self.lanes[lane]
        reason = data.draw(st.sampled_from(["endpoint_paused", BREAKER, BREAKER, BREAKER]))
        expected = reason != BREAKER or one.hold in {None, BREAKER}
        until = data.draw(st.sampled_from([3, 20])) if reason == BREAKER else None
        assert DELIVERIES.hold(self.conn, one.id, reason, seconds=until) is expected
        if expected:
            one.hold = reason
            one.probe_until = None

    def release(self, data: st.DataObject, lane: int) -> None:
        one = self.lanes[lane]
        only = data.draw(st.sampled_from([None, BREAKER]))
        expected = one.hold is not None and only in {None, one.hold}
        assert DELIVERIES.release(self.conn, one.id, only=only) is expected
        if expected:
            one.hold = one.probe_until = None

    def configure(self, data: st.DataObject, lane: int) -> None:
        self.limit(lane, data.draw(st.sampled_from(sorted(LIMITS))))

    def limit(self, lane: int, limits: str) -> None:
        one = self.lanes[lane]
        DELIVERIES.configure(self.conn, TENANT, one.id, LIMITS[limits])
        one.limits, one.since, one.calls = LIMITS[limits], self.now, 0

    def discard(self, data: st.DataObject, lane: int) -> None:
        reason = data.draw(st.sampled_from(["discarded", GONE]))
        DELIVERIES.discard(self.conn, self.lanes[lane].id, reason)
        self.lanes[lane].discarded = reason

    @rule(limit=st.integers(1, 3))
    def empty_what_is_discarded(self, limit: int) -> None:
        for _ in range(1000):
            if not DELIVERIES.sweep_discarded(self.conn, limit=limit, keep=GONE):
                break
        else:
            pytest.fail("the sweep does not come to an end")
        in_line = {
            row.id: row.endpoint_id
            for row in self.conn.execute(text("SELECT id, endpoint_id FROM hub.delivery_waiting"))
        }
        for lane in self.lanes:
            if lane.discarded is not None:
                assert lane.id not in in_line.values()
            if lane.discarded != GONE:
                lane.discarded = None
        cancelled = self.conn.execute(text("SELECT id FROM hub.delivery WHERE state = 'cancelled'"))
        for (row_id,) in cancelled:
            row = self.rows[row_id]
            assert row.state in {State.DUE, State.HELD, State.CANCELLED}
            row.state, row.lapses = State.CANCELLED, 0

    # -- what must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def everything_is_where_it_belongs(self) -> None:
        self.agreed = False
        found = {
            row.id: row
            for row in self.conn.execute(
                text(
                    "SELECT id, endpoint_id, state, fence, attempt, lapses, ordering_key, counted, due_at FROM hub.delivery"
                )
            )
        }
        assert {i: (r.state, r.fence, r.attempt, r.lapses) for i, r in found.items()} == {
            i: (w.state, w.fence, w.attempt, w.lapses) for i, w in self.rows.items()
        }, "a row is not as it should be"
        assert self.conn.scalar(text("SELECT count(*) FROM hub.attempt")) == self.attempts
        line = self.conn.execute(text("SELECT endpoint_id, id, due_at FROM hub.delivery_waiting")).all()
        ordered = self.conn.execute(
            text("SELECT endpoint_id, ordering_key, id FROM hub.delivery_order ORDER BY id")
        ).all()
        leases = set(self.conn.scalars(text("SELECT unnest(ids) FROM hub.delivery_lease")))
        self._check_places(found, line, ordered, leases)
        self._check_lanes(found, line)
        self.agreed = True

    def _check_places(
        self, found: dict[uuid.UUID, Any], line: Any, ordered: Any, leases: set[uuid.UUID]
    ) -> None:
        in_line = Counter(row.id for row in line)
        assert max(in_line.values(), default=1) == 1, "a row stands in line twice"
        assert {(r.endpoint_id, r.due_at, r.id) for r in line} <= {
            (r.endpoint_id, r.due_at, i) for i, r in found.items()
        }, "a row stands in line at another time than it is due"
        first: dict[tuple[uuid.UUID, str], uuid.UUID] = {}
        for row in ordered:
            assert not self.rows[row.id].state.finished, "what is finished is in nobody's way"
            first.setdefault((row.endpoint_id, row.ordering_key), row.id)
        behind = {row.id for row in ordered} - set(first.values())
        for i, row in found.items():
            places = [
                in_line[i] > 0,
                row.state == State.LEASED,
                i in behind and not in_line[i] and row.state != State.LEASED,
            ]
            if self.rows[i].state.finished:
                assert places == [False, False, False], "what is finished stands somewhere"
            else:
                assert places.count(True) == 1, f"{row.state} is at {places}"
            if row.state == State.LEASED:
                assert i in leases, "a leased row of which no lease knows"
        out = Counter(
            (row.endpoint_id, row.ordering_key)
            for i, row in found.items()
            if row.ordering_key is not None
            and not self.rows[i].revived
            and (in_line[i] or row.state == State.LEASED)
        )
        assert max(out.values(), default=1) == 1, "two rows of one key are on their way"

    def _check_lanes(self, found: dict[uuid.UUID, Any], line: Any) -> None:
        counted = Counter(r.endpoint_id for r in found.values() if r.state == State.LEASED and r.counted)
        for lane in self.lanes:
            row = self.read_lane(lane)
            assert row.in_flight == counted[lane.id]
            assert row.hold == lane.hold
            if lane.hold is not None and lane.hold != BREAKER:
                assert row.wake_at is None or row.wake_at.year == 9999, "a lane that somebody holds wakes up"
                continue
            earliest = min((r.due_at for r in line if r.endpoint_id == lane.id), default=None)
            if earliest is None or earliest.year == 9999:
                continue
            latest = max(self.now, earliest) + timedelta(seconds=lane.limits.batch_wait)
            if lane.hold == BREAKER:
                latest = max(latest, row.hold_until)
            elif row.in_flight >= (lane.limits.max_in_flight or 10**6) * lane.limits.batch_size:
                latest += timedelta(seconds=5)
            elif pace := lane.limits.rate or (lane.limits.drain_rate if row.draining else None):
                latest += timedelta(seconds=max(0.05, 1 / pace))
            assert row.wake_at is not None, "something waits in a lane that never wakes"
            assert row.wake_at <= latest, f"the lane wakes at {row.wake_at}, {latest} would be right"

    def teardown(self) -> None:
        """Whatever happened, every row can still be brought to an end, by time alone."""
        if not self.agreed:
            return
        for lane in self.lanes:
            DELIVERIES.release(self.conn, lane.id)
            DELIVERIES.configure(self.conn, TENANT, lane.id, Limits())
        for _ in range(2 + 4 * len(self.rows)):
            self.clock.advance(100)
            while DELIVERIES.lapse(self.conn):
                pass
            quarantined = [
                i for (i,) in self.conn.execute(text("SELECT id FROM hub.delivery WHERE state = 'held'"))
            ]
            DELIVERIES.move(self.conn, TENANT, quarantined, to=State.DUE, allowed=[State.HELD])
            claimed = DELIVERIES.claim(self.conn, owner="last", limit=1_000, lease=5)
            done = [
                Completion(row.id, TENANT, row.fence, State.DONE, attempt=Attempt(self.now, "succeeded", 1))
                for row in claimed
            ]
            if done:
                DELIVERIES.complete(self.conn, DELIVERIES.prepare(done, worker="last"))
        left = self.conn.execute(text("SELECT DISTINCT state FROM hub.delivery")).scalars()
        assert all(State(state).finished for state in left), "a row is lost"
        assert self.conn.scalar(text("SELECT count(*) FROM hub.delivery_waiting")) == 0
        assert self.conn.scalar(text("SELECT count(*) FROM hub.delivery_order")) == 0
        assert self.conn.scalar(text("SELECT sum(in_flight) FROM hub.delivery_lane")) == 0


@pytest.mark.timeout(400)  # a pass takes seconds; shrinking a failure to its core takes minutes
def test_lanes_keep_their_promises_whatever_happens(engine: Engine) -> None:
    with clocked(engine) as conn:
        run_state_machine_as_test(
            lambda: LanesMachine(conn),  # type: ignore[arg-type]
            settings=settings(
                max_examples=80,
                stateful_step_count=50,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
