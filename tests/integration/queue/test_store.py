"""Leaders, ticks, heartbeats and refused messages in a real Postgres."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, text

from hub.core.ids import new_uuid
from hub.queue import store

AT = datetime(2030, 1, 1, 12, 0, 1, tzinfo=UTC)


@pytest.fixture
def conn(engine: Engine) -> Iterator[Connection]:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as made:
        yield made


def end_lease(conn: Connection) -> None:
    conn.execute(text("UPDATE hub.leader SET until = now() - interval '1 millisecond'"))


def test_one_leads_and_may_stay(conn: Connection) -> None:
    assert store.take_lead(conn, "beat", "anna", 30)
    assert not store.take_lead(conn, "beat", "ben", 30)
    assert store.take_lead(conn, "beat", "anna", 60)
    row = store.read_leader(conn, "beat")
    assert row is not None
    assert row.owner == "anna"
    assert 30 < row.remaining <= 60
    assert store.take_lead(conn, "other", "ben", 30)
    assert store.read_leader(conn, "nothing") is None


def test_a_lead_that_ran_out_goes_to_whoever_asks_first(conn: Connection) -> None:
    store.take_lead(conn, "beat", "anna", 30)
    end_lease(conn)
    assert store.take_lead(conn, "beat", "ben", 30)
    assert not store.take_lead(conn, "beat", "anna", 30)


def test_a_lead_is_dropped_by_its_holder_alone(conn: Connection) -> None:
    store.take_lead(conn, "beat", "anna", 30)
    store.drop_lead(conn, "beat", "ben")
    assert not store.take_lead(conn, "beat", "ben", 30)
    store.drop_lead(conn, "beat", "anna")
    assert store.take_lead(conn, "beat", "ben", 30)


@pytest.mark.parametrize("before", ["nobody led", "the lead ran out"])
def test_of_many_that_ask_at_once_one_leads(engine: Engine, before: str) -> None:
    if before == "the lead ran out":
        with engine.begin() as conn:
            store.take_lead(conn, "beat", "gone", 30)
            end_lease(conn)
    start = threading.Barrier(6)

    def ask(owner: str) -> bool:
        start.wait(10)
        with engine.begin() as conn:
            return store.take_lead(conn, "beat", owner, 30)

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(ask, "abcdef")) == 1


def test_a_moment_of_a_job_starts_once(conn: Connection) -> None:
    assert store.start_tick(conn, "sweep", AT, "anna")
    assert not store.start_tick(conn, "sweep", AT, "ben")
    assert not store.start_tick(conn, "sweep", AT, "anna")
    assert store.start_tick(conn, "sweep", AT + timedelta(seconds=1), "ben")
    assert store.start_tick(conn, "prune", AT, "ben")


def test_a_start_that_was_rolled_back_is_free_again(engine: Engine) -> None:
    with engine.connect() as conn:
        assert store.start_tick(conn, "sweep", AT, "anna")
        conn.rollback()
        assert store.start_tick(conn, "sweep", AT, "ben")


def test_old_ticks_are_forgotten(conn: Connection) -> None:
    for n in range(3):
        store.start_tick(conn, "sweep", AT + timedelta(seconds=n), "anna")
    conn.execute(
        text("UPDATE hub.tick SET created_at = now() - interval '2 hours' WHERE scheduled_for = :at"),
        {"at": AT},
    )
    assert store.prune_ticks(conn, 3_600) == 1
    assert store.prune_ticks(conn, 3_600) == 0


def test_a_worker_is_seen_until_it_stops_and_after_it_starts_again(conn: Connection) -> None:
    store.beat_heart(conn, "w1", "hub.system", 1, AT)
    store.beat_heart(conn, "w2", "hub.deliver,hub.bulk", 2, AT)
    store.stop_heart(conn, "w1")
    first, second = store.list_workers(conn)
    assert (first.name, first.stopped_at is None, second.name, second.stopped_at) == ("w1", False, "w2", None)
    assert (second.queues, second.pid, second.started_at) == ("hub.deliver,hub.bulk", 2, AT)
    assert 0 <= second.age < 60
    store.beat_heart(conn, "w1", "hub.execute", 3, AT)
    again = store.list_workers(conn)[0]
    assert (again.stopped_at, again.pid, again.queues) == (None, 3, "hub.execute")
    conn.execute(text("UPDATE hub.worker SET seen_at = now() - interval '2 days' WHERE name = 'w2'"))
    assert [row.name for row in store.list_workers(conn)] == ["w1"]


def test_a_refused_message_is_kept(conn: Connection) -> None:
    store.record_rejected(
        conn, new_uuid(), task=None, queue=None, reason="r", headers=json.dumps({"id": "é"}), body=""
    )
    row = conn.execute(text("SELECT * FROM hub.rejected_message")).one()
    assert (row.task, row.queue, row.reason, row.headers, row.body_excerpt) == (
        None,
        None,
        "r",
        {"id": "é"},
        "",
    )
