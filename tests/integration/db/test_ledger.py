"""The ledger's single promises, and many threads at one table."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from hub.core.ids import new_uuid
from hub.db.engine import make_engine
from hub.db.ledger import Attempt, Completion, Ledger
from hub.db.states import FINISHED, QUARANTINED, State
from tests.integration.db.rows import LEDGERS, insert_due

TENANT = new_uuid()
EXECUTIONS = LEDGERS["execution"]


@pytest.fixture
def conn(engine: Engine) -> Iterator[Connection]:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as made:
        yield made


def attempt(outcome: str = "succeeded", number: int = 1, **fields: Any) -> Attempt:
    return Attempt(datetime.now(UTC), outcome, number, **fields)


def complete(conn: Connection, *completions: Completion, worker: str = "anna") -> set[Any]:
    return EXECUTIONS.complete(conn, EXECUTIONS.prepare(completions, worker=worker))


def attempts(conn: Connection, work_id: Any) -> list[tuple[Any, ...]]:
    return [
        tuple(row)
        for row in conn.execute(
            text(
                "SELECT fence, worker, outcome, late FROM hub.attempt WHERE work_id = :id ORDER BY fence, late, id"
            ),
            {"id": work_id},
        )
    ]


def state(conn: Connection, row_id: Any) -> Any:
    return conn.execute(text("SELECT * FROM hub.execution WHERE id = :id"), {"id": row_id}).one()


def let_leases_lapse(conn: Connection) -> None:
    conn.execute(
        text("UPDATE hub.execution SET lease_until = now() - interval '1 second' WHERE state = 'leased'")
    )


@pytest.mark.parametrize("table", sorted(LEDGERS))
def test_many_threads_claim_every_row_once(engine: Engine, database_url: str, table: str) -> None:
    ledger: Ledger = LEDGERS[table]
    rows, threads = 600, 8
    with engine.begin() as conn:
        expected = set(insert_due(conn, table, rows, tenant=TENANT))
    own = make_engine(database_url, pool_size=threads)
    start = threading.Barrier(threads)

    def claim_all(name: str) -> list[Any]:
        got: list[Any] = []
        start.wait(10)
        while len(got) <= rows:
            with own.begin() as conn:
                claimed = ledger.claim(conn, owner=name, limit=7, lease=60)
            if not claimed:
                return got
            got += [(row.id, row.fence, row.attempt) for row in claimed]
        return got

    with ThreadPoolExecutor(threads) as pool:
        found = [claim for part in pool.map(claim_all, [f"t{n}" for n in range(threads)]) for claim in part]
    own.dispose()
    assert Counter(found) == Counter({(row, 1, 1): 1 for row in expected})
    with engine.connect() as conn:
        left = conn.execute(text(f"SELECT state, fence, count(*) FROM hub.{table} GROUP BY 1, 2")).all()
    assert [tuple(row) for row in left] == [("leased", 1, rows)]


def test_a_claim_does_not_wait_for_another_claim(engine: Engine) -> None:
    with engine.begin() as conn:
        insert_due(conn, "execution", 6, tenant=TENANT)
    with engine.begin() as one, engine.begin() as other:
        other.execute(text("SET LOCAL lock_timeout = '300ms'"))
        first = {row.id for row in EXECUTIONS.claim(one, owner="anna", limit=4, lease=60)}
        second = {row.id for row in EXECUTIONS.claim(other, owner="ben", limit=4, lease=60)}
    assert (len(first), len(second)) == (4, 2)
    assert not first & second


def test_two_sweeps_at_once_share_the_lapsed_rows(engine: Engine) -> None:
    with engine.begin() as conn:
        insert_due(conn, "execution", 6, tenant=TENANT)
        EXECUTIONS.claim(conn, owner="anna", limit=6, lease=60)
        let_leases_lapse(conn)
    with engine.begin() as one, engine.begin() as other:
        other.execute(text("SET LOCAL lock_timeout = '300ms'"))
        assert len(EXECUTIONS.lapse(one, limit=4)) == 4
        assert len(EXECUTIONS.lapse(other, limit=4)) == 2
    with engine.connect() as conn:
        assert conn.scalar(text("SELECT count(*) FROM hub.attempt WHERE outcome = 'interrupted'")) == 6


def test_a_completion_and_a_sweep_of_the_same_row_settle_on_one_end(engine: Engine) -> None:
    """The worker reports while the sweeper holds the row: the sweep wins, the report is late, nothing is doubled."""
    with engine.begin() as conn:
        (row_id,) = insert_due(conn, "execution", 1, tenant=TENANT)
        (row,) = EXECUTIONS.claim(conn, owner="anna", limit=1, lease=60)
        let_leases_lapse(conn)
    done = threading.Event()

    def report() -> set[Any]:
        with engine.begin() as conn:
            written = complete(conn, Completion(row_id, TENANT, row.fence, State.DONE, attempt=attempt()))
        done.set()
        return written

    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as sweeper:
            assert len(EXECUTIONS.lapse(sweeper)) == 1
            reported = pool.submit(report)
            assert not done.wait(0.2)
        assert reported.result(10) == set()
    with engine.connect() as conn:
        assert state(conn, row_id).state == "due"
        assert attempts(conn, row_id) == [(1, "anna", "interrupted", False), (1, "anna", "succeeded", True)]


def test_a_stale_fence_changes_nothing_and_is_kept_as_late(conn: Connection) -> None:
    (row_id,) = insert_due(conn, "execution", 1, tenant=TENANT)
    (old,) = EXECUTIONS.claim(conn, owner="anna", limit=1, lease=60)
    let_leases_lapse(conn)
    EXECUTIONS.lapse(conn)
    (new,) = EXECUTIONS.claim(conn, owner="ben", limit=1, lease=60)
    before = state(conn, row_id)
    late = Completion(row_id, TENANT, old.fence, State.DONE, attempt=attempt())
    assert complete(conn, late) == set()
    assert state(conn, row_id) == before
    assert new.fence == old.fence + 1
    assert attempts(conn, row_id) == [(1, "anna", "interrupted", False), (1, "anna", "succeeded", True)]


def test_an_outdated_and_a_current_result_in_one_batch_are_told_apart(conn: Connection) -> None:
    (row_id,) = insert_due(conn, "execution", 1, tenant=TENANT)
    (old,) = EXECUTIONS.claim(conn, owner="anna", limit=1, lease=60)
    let_leases_lapse(conn)
    EXECUTIONS.lapse(conn)
    (new,) = EXECUTIONS.claim(conn, owner="anna", limit=1, lease=60)
    results = [
        Completion(row_id, TENANT, old.fence, State.FAILED, reason="exhausted", attempt=attempt("failed", 1)),
        Completion(row_id, TENANT, new.fence, State.DONE, attempt=attempt("succeeded", 2)),
    ]
    assert complete(conn, *results) == {row_id}
    assert state(conn, row_id).state == "done"
    assert attempts(conn, row_id) == [
        (1, "anna", "interrupted", False),
        (1, "anna", "failed", True),
        (2, "anna", "succeeded", False),
    ]


def test_the_same_batch_sent_again_is_recorded_once(conn: Connection) -> None:
    (row_id,) = insert_due(conn, "execution", 1, tenant=TENANT)
    (row,) = EXECUTIONS.claim(conn, owner="anna", limit=1, lease=60)
    retry = Completion(row_id, TENANT, row.fence, State.DUE, 1, 300, attempt=attempt("failed"))
    prepared = EXECUTIONS.prepare([retry], worker="anna")
    assert EXECUTIONS.complete(conn, prepared) == {row_id}
    before = state(conn, row_id)
    assert EXECUTIONS.complete(conn, prepared) == set()
    assert state(conn, row_id) == before
    assert (before.state, before.step, before.attempt) == ("due", 1, 1)
    assert attempts(conn, row_id) == [(1, "anna", "failed", False)]


def test_three_lapses_in_a_row_quarantine_and_not_one_less(conn: Connection) -> None:
    (row_id,) = insert_due(conn, "execution", 1, tenant=TENANT)

    def lapse() -> str:
        (claimed,) = EXECUTIONS.claim(conn, owner="anna", limit=1, lease=60)
        let_leases_lapse(conn)
        (row,) = EXECUTIONS.lapse(conn)
        assert (row.id, claimed.id) == (row_id, row_id)
        return str(row.state)

    assert [lapse(), lapse()] == ["due", "due"]
    # An attempt that came to its end starts the count anew.
    (row,) = EXECUTIONS.claim(conn, owner="anna", limit=1, lease=60)
    complete(conn, Completion(row_id, TENANT, row.fence, State.DUE, attempt=attempt("failed", 3)))
    assert [lapse(), lapse(), lapse()] == ["due", "due", "held"]
    assert state(conn, row_id).reason == QUARANTINED
    assert not EXECUTIONS.claim(conn, owner="anna", limit=1, lease=60)
    assert EXECUTIONS.move(conn, TENANT, [row_id], to=State.DUE, allowed=[State.HELD]) == {row_id}
    assert [lapse(), lapse(), lapse()] == ["due", "due", "held"]


def test_work_that_was_handed_back_counts_no_attempt(conn: Connection) -> None:
    (row_id,) = insert_due(conn, "execution", 1, tenant=TENANT)
    for fence in range(1, 5):
        (row,) = EXECUTIONS.claim(conn, owner="anna", limit=1, lease=60)
        assert (row.fence, row.attempt) == (fence, 1)
        assert complete(conn, Completion(row_id, TENANT, row.fence, State.DUE)) == {row_id}
    assert state(conn, row_id).attempt == 0
    assert attempts(conn, row_id) == []


def test_a_row_of_another_tenant_does_not_move(conn: Connection) -> None:
    (row_id,) = insert_due(conn, "execution", 1, tenant=TENANT)
    everything = [*State]
    assert not EXECUTIONS.move(conn, new_uuid(), [row_id], to=State.CANCELLED, allowed=everything)
    assert EXECUTIONS.move(conn, TENANT, [row_id], to=State.CANCELLED, allowed=everything) == {row_id}
    assert EXECUTIONS.move(conn, TENANT, [row_id], to=State.DUE, allowed=sorted(FINISHED)) == {row_id}


def test_the_oldest_due_row_is_claimed_first(conn: Connection) -> None:
    ids = [
        insert_due(conn, "execution", 1, tenant=TENANT, due_at=datetime(2020, 1, day, tzinfo=UTC))[0]
        for day in (3, 1, 2)
    ]
    order = [EXECUTIONS.claim(conn, owner="anna", limit=1, lease=60)[0].id for _ in range(3)]
    assert order == [ids[1], ids[2], ids[0]]


def test_everything_that_an_attempt_says_is_stored(conn: Connection) -> None:
    (row_id,) = insert_due(conn, "execution", 1, tenant=TENANT)
    (row,) = EXECUTIONS.claim(conn, owner="anna", limit=1, lease=60)
    told = attempt(
        "failed", error_class="http_5xx", message='café "quoted" \\ back\nslash \u2028 🐘', status=503,
        peer="2001:db8::1", dns_ms=0.25, connect_ms=1.5, tls_ms=2.5, first_byte_ms=3.5, total_ms=4.5,
        response_headers={"retry-after": "120", "x-é": "ü'\\"}, response_body=bytes(range(256)), truncated=True,
    )  # fmt: skip
    complete(conn, Completion(row_id, TENANT, row.fence, State.FAILED, attempt=told))
    stored = conn.execute(text("SELECT * FROM hub.attempt WHERE work_id = :id"), {"id": row_id}).one()
    for name in Attempt.__struct_fields__:
        assert getattr(stored, name) == getattr(told, name), name
    assert (stored.kind, stored.tenant_id, stored.worker) == ("execution", TENANT, "anna")


def test_every_hot_statement_uses_the_index_that_it_names(engine: Engine) -> None:
    """With a long history of finished rows, a claim and a sweep read the partial indexes and nothing else."""
    with engine.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO hub.execution (id, tenant_id, integration_id, operation, source, state)"
                " SELECT hub.uuid7(), :t, :t, 'get', 'sql', 'done' FROM generate_series(1, 3000)"
            ),
            {"t": TENANT},
        )
        insert_due(conn, "execution", 3, tenant=TENANT)
        conn.execute(text("ANALYZE hub.execution"))
        claim = "\n".join(
            conn.scalars(
                text("EXPLAIN " + EXECUTIONS._claim.text), {"owner": "anna", "limit": 10, "lease": 60}
            )
        )
        sweep = "\n".join(
            conn.scalars(text("EXPLAIN " + EXECUTIONS._lapse.text), {"limit": 10, "ids": [new_uuid()] * 10})
        )
    today = f"execution_p{datetime.now(UTC):%Y%m%d}"
    assert f"{today}_due_at_idx on {today}" in claim
    assert f"{today}_lease_until_idx on {today}" in sweep
    assert f"Seq Scan on {today}" not in claim + sweep
