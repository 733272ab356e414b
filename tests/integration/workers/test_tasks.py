"""Tasks as a worker runs them, called in this process: what they do to rows, and what a broken payload does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

import workers.tasks
from hub.access.issuing import open_tenant
from hub.core.ids import Kind, format_id, new_uuid
from hub.db.partitions import PARTITIONED, ensure, existing
from hub.queue.app import get_app
from hub.queue.contracts import ROUTES, TaskName
from hub.webhooks.store import DELIVERIES, NewMessage, insert_messages
from tests.integration.db.lane_rows import enter, make_lanes
from tests.integration.db.rows import LEDGERS, insert_due
from workers import context
from workers.rejected import record
from workers.tasks.sweep_ledger import LEDGERS as SWEPT

pytestmark = pytest.mark.usefixtures("hub_environment")

TICK = {"name": "x", "scheduled_for": "2030-01-01T00:00:00+00:00"}


@pytest.fixture(autouse=True)
def _own_catalogue() -> None:
    """What a process keeps would ask the database of the test before."""
    context.get_catalogue.cache_clear()


@dataclass
class Bell:
    """Remembers rings."""

    rings: list[tuple[TaskName, list[str]]] = field(default_factory=list)

    def ring(self, task: TaskName, ids: Sequence[str] = ()) -> bool:
        self.rings.append((task, list(ids)))
        return True


@pytest.fixture
def bell(monkeypatch: pytest.MonkeyPatch) -> Bell:
    made = Bell()
    monkeypatch.setattr(context, "get_bell", lambda: made)
    return made


def call(task: TaskName, *args: Any, **kwargs: Any) -> Any:
    workers.tasks.load()
    return get_app().tasks[task.value](*args, **kwargs)


def rejected(engine: Engine) -> list[Any]:
    with engine.connect() as conn:
        return list(conn.execute(text("SELECT * FROM hub.rejected_message ORDER BY id")))


# -- declaring ------------------------------------------------------------------------------------------------------


def test_every_task_of_the_contract_is_registered_and_no_other(engine: Engine) -> None:
    workers.tasks.load()
    ours = {name for name in get_app().tasks if not name.startswith("celery.")}
    assert ours == {task.value for task in TaskName}


@pytest.mark.parametrize("task", sorted(TaskName))
@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {"payload": 7}),
        ((), {"payload": "text"}),
        ((), {"payload": ["x"]}),
        (({"ids": []},), {}),
        ((1, 2, 3), {"payload": {}}),
    ],
)
def test_a_payload_that_does_not_fit_is_a_row_and_no_error(
    engine: Engine, bell: Bell, task: TaskName, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    assert call(task, *args, **kwargs) == "rejected"
    (row,) = rejected(engine)
    assert (row.task, row.queue) == (task.value, ROUTES[task].value)
    assert row.reason.startswith("payload: ")
    assert bell.rings == []


def test_the_fields_at_fault_are_named(engine: Engine, bell: Bell) -> None:
    payload = {
        "tenant": "ten_x",
        "events": [{"id": "", "type": "a", "data": "{}"}, {"type": 1, "data": "{}"}],
    }
    assert call(TaskName.EVENTS_PUBLISH, payload=payload) == "rejected"
    (row,) = rejected(engine)
    for path in ("events.0.id", "events.1.id", "events.1.type"):
        assert path in row.reason


def test_arguments_of_a_newer_sender_are_ignored(engine: Engine, bell: Bell) -> None:
    assert call(TaskName.LEDGER_SWEEP, payload={**TICK, "new": 1}, priority=3) == {}
    assert rejected(engine) == []


# -- refused messages -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "body", "headers"),
    [
        ("x\0y", b"\x00\xff\xfe", {"id": "a\0b"}),
        ("lone \ud800", "lone \udfff", {"task": "\ud800", "id": "x" * 10_000}),
        (None, {"payload": "\ud800\0"}, None),
        ("t" * 10_000, "x" * 1_000_000, {"other": "not kept"}),
        ("t", memoryview(b"bytes"), ["no", "headers"]),
        ("t", None, {"retries": {"deep": [1]}}),
    ],
)
def test_whatever_a_message_holds_it_is_recorded(engine: Engine, task: Any, body: Any, headers: Any) -> None:
    record(task=task, queue="q\0\ud800", reason="because \0\ud800", headers=headers, body=body)
    (row,) = rejected(engine)
    assert len(row.body_excerpt) <= 2_048
    assert row.task is None or len(row.task) <= 200
    assert "other" not in row.headers


def test_credentials_in_a_refused_message_are_not_kept(engine: Engine) -> None:
    body = {
        "input": {"headers": {"Authorization": "Token canary91", "X-Api-Key": "canary91"}},
        "n": '{"cookie": "canary91"}',
    }
    record(
        task="t",
        queue="q",
        reason="Bearer canary91canary91",
        headers={"id": "hub_" + "0" * 32 + "_canary91"},
        body=body,
    )
    assert "canary91" not in str(rejected(engine)[0])


def test_a_database_that_is_away_costs_the_record_and_not_the_worker(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("workers.rejected._url", lambda: "postgresql+psycopg://u@127.0.0.1:1/none")
    record(task="t", queue="q", reason="r", headers={}, body=b"")
    assert "Could not record a rejected message" in caplog.text


# -- sweep ----------------------------------------------------------------------------------------------------------


def test_the_sweep_knows_every_ledger() -> None:
    assert {ledger.table for ledger, _, _ in SWEPT} == {*LEDGERS, DELIVERIES.table}


def test_nothing_due_rings_nothing(engine: Engine, bell: Bell) -> None:
    tenant = new_uuid()
    later = datetime.now(UTC) + timedelta(hours=1)
    with engine.begin() as conn:
        insert_messages(conn, [NewMessage(new_uuid(), tenant, "a", "1", "http", deliver_at=later)])
        insert_due(conn, "execution", 1, tenant=tenant)
        LEDGERS["execution"].claim(conn, owner="anna", limit=1, lease=60)
        (one, other) = make_lanes(conn, 2, tenant=tenant)
        enter(conn, one, 1, tenant=tenant)
        DELIVERIES.hold(conn, one, "endpoint_paused")
        enter(conn, other, 1, tenant=tenant)
    with engine.begin() as conn:
        assert len(DELIVERIES.claim(conn, owner="anna", limit=5, lease=60)) == 1
    assert call(TaskName.LEDGER_SWEEP, payload=TICK) == {}
    assert bell.rings == []


@pytest.mark.parametrize(
    ("table", "pump"), [(ledger.table, pump) for ledger, _, pump in SWEPT if ledger.table in LEDGERS]
)
def test_what_is_due_rings_its_pump_once(engine: Engine, bell: Bell, table: str, pump: TaskName) -> None:
    with engine.begin() as conn:
        insert_due(conn, table, 3, tenant=new_uuid())
    assert call(TaskName.LEDGER_SWEEP, payload=TICK) == {}
    assert bell.rings == [(pump, [])]


def test_a_delivery_that_waits_and_a_message_in_the_outbox_ring_the_pump(engine: Engine, bell: Bell) -> None:
    tenant = new_uuid()
    with engine.begin() as conn:
        (lane,) = make_lanes(conn, 1, tenant=tenant)
        enter(conn, lane, 3, tenant=tenant)
    call(TaskName.LEDGER_SWEEP, payload=TICK)
    with engine.begin() as conn:
        DELIVERIES.hold(conn, lane, "endpoint_paused")
        insert_messages(conn, [NewMessage(new_uuid(), tenant, "a", "1", "http")])
    call(TaskName.LEDGER_SWEEP, payload=TICK)
    assert bell.rings == [(TaskName.DELIVERIES_SEND, [])] * 2


def test_leases_of_deliveries_that_lapsed_are_taken_back_and_rung_for(engine: Engine, bell: Bell) -> None:
    tenant = new_uuid()
    with engine.begin() as conn:
        for lane in make_lanes(conn, 3, tenant=tenant):
            enter(conn, lane, 400, tenant=tenant)
    with engine.begin() as conn:
        assert len(DELIVERIES.claim(conn, owner="anna", limit=1_200, lease=60)) == 1_200
        conn.execute(text("UPDATE hub.delivery SET lease_until = now() - interval '1 second'"))
        conn.execute(text("UPDATE hub.delivery_lease SET until = now() - interval '1 second'"))
    assert call(TaskName.LEDGER_SWEEP, payload=TICK) == {"delivery": 1_200}
    assert bell.rings == [(TaskName.DELIVERIES_SEND, [])]
    assert call(TaskName.LEDGER_SWEEP, payload=TICK) == {}


@pytest.mark.parametrize("table", sorted(LEDGERS))
def test_lapsed_leases_are_taken_back_and_rung_for(engine: Engine, bell: Bell, table: str) -> None:
    with engine.begin() as conn:
        insert_due(conn, table, 1_203, tenant=new_uuid())
        LEDGERS[table].claim(conn, owner="anna", limit=1_203, lease=60)
        conn.execute(text(f"UPDATE hub.{table} SET lease_until = now() - interval '1 second'"))
    assert call(TaskName.LEDGER_SWEEP, payload=TICK) == {table: 1_203}
    assert len(bell.rings) == 1
    with engine.connect() as conn:
        assert [
            tuple(row)
            for row in conn.execute(text(f"SELECT state, lapses, count(*) FROM hub.{table} GROUP BY 1, 2"))
        ] == [("due", 1, 1_203)]
    assert call(TaskName.LEDGER_SWEEP, payload=TICK) == {}


def test_a_row_that_keeps_killing_its_workers_is_quarantined_aloud(
    engine: Engine, bell: Bell, caplog: pytest.LogCaptureFixture
) -> None:
    with engine.begin() as conn:
        (row_id,) = insert_due(conn, "execution", 1, tenant=new_uuid())
    for turn in range(3):
        assert "Quarantined" not in caplog.text, turn
        with engine.begin() as conn:
            LEDGERS["execution"].claim(conn, owner="anna", limit=1, lease=60)
            conn.execute(text("UPDATE hub.execution SET lease_until = now() - interval '1 second'"))
        call(TaskName.LEDGER_SWEEP, payload=TICK)
    assert f"Quarantined {format_id(Kind.EXECUTION, row_id)}" in caplog.text
    assert len(bell.rings) == 2


# -- the door for events, history -----------------------------------------------------------------------------------


def test_events_from_the_broker_become_rows_once(engine: Engine, bell: Bell) -> None:
    with engine.begin() as conn:
        tenant = format_id(Kind.TENANT, open_tenant(conn, "acme").id)
    payload = {
        "tenant": tenant,
        "events": [{"id": f"e{n}", "type": "a.b", "data": '{"n":  1.0}'} for n in range(3)],
    }
    assert call(TaskName.EVENTS_PUBLISH, payload=payload) == {"accepted": 3, "repeated": 0, "conflicts": 0}
    assert call(TaskName.EVENTS_PUBLISH, payload=payload) == {"accepted": 0, "repeated": 3, "conflicts": 0}
    ((pump, ids),) = bell.rings
    assert (pump, len(ids)) == (TaskName.DELIVERIES_SEND, 3)
    with engine.connect() as conn:
        rows = conn.execute(text("SELECT DISTINCT data, source, count(*) OVER () FROM hub.message")).all()
    assert [tuple(row) for row in rows] == [('{"n":  1.0}', "celery", 3)]


def test_an_id_that_comes_back_with_other_content_is_refused_on_record(engine: Engine, bell: Bell) -> None:
    with engine.begin() as conn:
        tenant = format_id(Kind.TENANT, open_tenant(conn, "acme").id)

    def publish(*events: tuple[str, str]) -> Any:
        made = [{"id": key, "type": "a.b", "data": data} for key, data in events]
        return call(TaskName.EVENTS_PUBLISH, payload={"tenant": tenant, "events": made})

    publish(("one", "1"))
    assert publish(("one", "2"), ("two", "2")) == {"accepted": 1, "repeated": 0, "conflicts": 1}
    (row,) = rejected(engine)
    assert "used before with other content: one" in row.reason
    with engine.connect() as conn:
        assert set(conn.scalars(text("SELECT data FROM hub.message"))) == {"1", "2"}


@pytest.mark.parametrize(
    "change",
    [
        {"tenant": "ten_" + "0" * 32},
        {"tenant": "acme"},
        {"events": [{"id": "a", "type": "a b", "data": "{}"}]},
        {"events": [{"id": "a", "type": "a", "data": "{"}]},
        {
            "events": [
                {"id": "a", "type": "a", "data": "{}"},
                {"id": "b", "type": "a", "data": '{"a":1,"a":2}'},
            ]
        },
        {"events": [{"id": "a.b", "type": "a", "data": "{}"}]},
    ],
)
def test_events_that_are_refused_are_recorded_and_none_of_the_message_is_written(
    engine: Engine, bell: Bell, change: dict[str, Any]
) -> None:
    with engine.begin() as conn:
        tenant = format_id(Kind.TENANT, open_tenant(conn, "acme").id)
    payload = {"tenant": tenant, "events": [{"id": "a", "type": "a", "data": "{}"}], **change}
    assert call(TaskName.EVENTS_PUBLISH, payload=payload) == "rejected"
    assert len(rejected(engine)) == 1
    assert bell.rings == []
    with engine.connect() as conn:
        assert conn.scalar(text("SELECT count(*) FROM hub.message")) == 0


def test_pruning_makes_the_days_ahead_and_drops_the_old_ones(engine: Engine) -> None:
    long_ago = datetime.now(UTC).date() - timedelta(days=400)
    with engine.begin() as conn:
        ensure(conn, long_ago, ahead=0)
        conn.execute(text(f"DROP TABLE hub.message_p{datetime.now(UTC).date() + timedelta(days=3):%Y%m%d}"))
        assert long_ago in existing(conn, "message")
    counts = call(TaskName.HISTORY_PRUNE, payload=TICK)
    assert counts["partitions_dropped"] == 2 * len(PARTITIONED)
    with engine.connect() as conn:
        days = existing(conn, "message")
    assert long_ago not in days
    assert datetime.now(UTC).date() + timedelta(days=3) in days
