"""Lanes under many connections at once: no row twice, no deadlock, no wake-up lost."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from hub.core.ids import new_uuid
from hub.db.engine import make_engine
from hub.db.lanes import BREAKER, Limits
from hub.db.ledger import Attempt, Completion
from hub.db.states import FINISHED, State
from hub.webhooks.store import DELIVERIES
from tests.integration.db.lane_rows import enter, make_lanes

TENANT = new_uuid()
LIVE = "SELECT count(*) FROM hub.delivery WHERE state IN ('due', 'leased', 'held')"


@pytest.fixture
def many(database_url: str) -> Iterator[Engine]:
    """An engine for threads."""
    made = make_engine(database_url, pool_size=10)
    yield made
    made.dispose()


def claim(conn: Connection, owner: str = "anna", limit: int = 100) -> list[Any]:
    return list(DELIVERIES.claim(conn, owner=owner, limit=limit, lease=60))


def finish(conn: Connection, rows: list[Any], states: Callable[[], State] = lambda: State.DONE) -> None:
    done = [
        Completion(
            row.id, TENANT, row.fence, states(), attempt=Attempt(datetime.now(UTC), "succeeded", row.attempt)
        )
        for row in rows
    ]
    DELIVERIES.complete(conn, DELIVERIES.prepare(done, worker="anna"))


def test_many_claimers_never_get_the_same_row_and_leave_none(many: Engine) -> None:
    with many.begin() as conn:
        lanes = make_lanes(conn, 20, tenant=TENANT)
        ids = [row_id for lane in lanes for row_id in enter(conn, lane, 50, tenant=TENANT)]
    start = threading.Barrier(4)

    def work(owner: str) -> list[Any]:
        found: list[Any] = []
        start.wait(10)
        empty = 0
        # Lanes that another one is looking at are skipped: nothing found is not the end.
        while empty < 20:
            with many.begin() as conn:
                rows = claim(conn, owner, limit=30)
            found += [(row.id, row.fence) for row in rows]
            empty = 0 if rows else empty + 1
        return found

    with ThreadPoolExecutor(4) as pool:
        found = [one for part in pool.map(work, "abcd") for one in part]
    assert Counter(found) == Counter({(row_id, 1): 1 for row_id in ids})
    with many.connect() as conn:
        assert conn.scalar(text("SELECT count(*) FROM hub.delivery_waiting")) == 0


def test_a_claim_waits_for_nobody(many: Engine) -> None:
    with many.begin() as conn:
        one, two = make_lanes(conn, 2, tenant=TENANT)
        enter(conn, one, 3, tenant=TENANT)
        enter(conn, two, 3, tenant=TENANT)
    with many.begin() as first, many.begin() as second:
        second.execute(text("SET LOCAL lock_timeout = '300ms'"))
        DELIVERIES.lock(first, [one])
        assert {row.endpoint_id for row in claim(second)} == {two}


# -- wake-ups ---------------------------------------------------------------------------------------------------------

_GATE = 4_711


@contextmanager
def gated(engine: Engine) -> Iterator[Connection]:
    """A connection whose statements stop after they have taken their snapshot, at their first look at the clock."""
    with engine.connect() as conn:
        conn.detach()
        driver: Any = conn.connection.dbapi_connection
        driver.prepare_threshold = 0
        conn.execute(text("CREATE SCHEMA gate"))
        conn.execute(
            text(
                "CREATE FUNCTION gate.now() RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$ BEGIN"
                " IF current_setting('gate.shut', true) = 'yes' THEN"
                f"   PERFORM pg_advisory_lock_shared({_GATE}), pg_advisory_unlock_shared({_GATE});"
                " END IF; RETURN pg_catalog.now(); END $$"
            )
        )
        # With a plan that is kept, the clock is asked by the execution alone.
        conn.execute(text("SET search_path = gate, pg_catalog"))
        conn.execute(text("SET plan_cache_mode = force_generic_plan"))
        conn.commit()
        claim(conn)
        conn.commit()
        yield conn


def test_what_comes_while_a_claim_looks_wakes_the_lane_again(many: Engine) -> None:
    """The claim's snapshot is older than the row; its lane was awake before and after."""
    with many.begin() as conn:
        (lane,) = make_lanes(conn, 1, tenant=TENANT)
    with (
        gated(many) as slow,
        many.connect().execution_options(isolation_level="AUTOCOMMIT") as other,
        ThreadPoolExecutor(1) as pool,
    ):
        (old,) = enter(other, lane, 1, tenant=TENANT)
        other.execute(text(f"SELECT pg_advisory_lock({_GATE})"))
        slow.execute(text("SET gate.shut = 'yes'"))
        slow.commit()
        claiming = pool.submit(claim, slow)
        waits = text("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)")
        while not other.scalar(waits):
            assert not claiming.done(), "the claim did not come to the gate"
        (new,) = enter(other, lane, 1, tenant=TENANT)
        other.execute(text(f"SELECT pg_advisory_unlock({_GATE})"))
        assert [row.id for row in claiming.result(10)] == [old]
        slow.commit()
        assert [row.id for row in claim(other)] == [new]


# -- locks ------------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(120)
def test_claims_completions_moves_holds_and_discards_do_not_lock_each_other_up(many: Engine) -> None:
    """A deadlock or a wait of more than ten seconds fails; in the end every row has ended."""
    rounds = 120
    limits = [Limits(), Limits(max_in_flight=3), Limits(rate=500.0), Limits(batch_size=4, batch_wait=0.01)]
    with many.begin() as conn:
        lanes = make_lanes(conn, 6, tenant=TENANT)
    stop = threading.Event()
    claimed: list[tuple[Any, int]] = []

    @contextmanager
    def transaction() -> Iterator[Connection]:
        with many.begin() as conn:
            conn.execute(text("SET LOCAL lock_timeout = '10s'"))
            yield conn

    def publish(rng: Random) -> None:
        for _ in range(rounds):
            with transaction() as conn:
                chosen = sorted(rng.sample(lanes, 3))
                DELIVERIES.lock(conn, chosen)
                for lane in chosen:
                    enter(
                        conn,
                        lane,
                        rng.randint(1, 5),
                        tenant=TENANT,
                        key=rng.choice([None, "a", "b"]),
                        wake=False,
                    )
                DELIVERIES.wake(conn, chosen)

    def work(rng: Random) -> None:
        while not stop.is_set():
            with transaction() as conn:
                rows = claim(conn, limit=20)
            claimed.extend((row.id, row.fence) for row in rows)
            rng.shuffle(rows)
            with transaction() as conn:
                finish(conn, rows, lambda: rng.choice([State.DONE, State.DONE, State.FAILED, State.DUE]))

    def move(rng: Random) -> None:
        while not stop.is_set():
            with transaction() as conn:
                ids = list(conn.scalars(text("SELECT id FROM hub.delivery ORDER BY random() LIMIT 5")))
            with transaction() as conn:
                if rng.random() < 0.5:
                    allowed = [State.DUE, State.LEASED, State.HELD]
                    DELIVERIES.move(conn, TENANT, ids[:1], to=State.CANCELLED, allowed=allowed)
                else:
                    DELIVERIES.move(conn, TENANT, ids, to=State.DUE, allowed=[*sorted(FINISHED)])

    def administer(rng: Random) -> None:
        while not stop.is_set():
            lane = rng.choice(lanes)
            with transaction() as conn:
                what = rng.randrange(4)
                if what == 0:
                    DELIVERIES.configure(conn, TENANT, lane, rng.choice(limits))
                elif what == 1:
                    DELIVERIES.hold(conn, lane, BREAKER, seconds=0.01)
                elif what == 2:
                    DELIVERIES.release(conn, lane)
                else:
                    DELIVERIES.discard(conn, lane, "discarded")
            with transaction() as conn:
                DELIVERIES.sweep_discarded(conn, limit=10, keep="gone")

    with ThreadPoolExecutor(6) as pool:
        others = [pool.submit(job, Random(seed)) for seed, job in enumerate([work, work, move, administer])]
        publishers = [pool.submit(publish, Random(seed)) for seed in (7, 8)]
        try:
            for one in publishers:
                one.result(100)
        finally:
            stop.set()
        for one in others:
            one.result(20)
    assert len(claimed) == len(set(claimed)) > rounds
    with many.begin() as conn:
        for lane in lanes:
            DELIVERIES.release(conn, lane)
            DELIVERIES.configure(conn, TENANT, lane, Limits())
    for _ in range(rounds * 5 * 2):
        with many.begin() as conn:
            finish(conn, claim(conn, limit=1_000))
            if not conn.scalar(text(LIVE)):
                break
    with many.connect() as conn:
        assert conn.scalar(text(LIVE)) == 0
        assert conn.scalar(text("SELECT sum(in_flight) FROM hub.delivery_lane")) == 0
        assert conn.scalar(text("SELECT count(*) FROM hub.delivery_order")) == 0
