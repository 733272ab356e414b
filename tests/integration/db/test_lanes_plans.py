"""What the hot statements of deliveries read: indexes of one day's partition, however much lies beside them.

The plans are those of a large table with statistics, the planned ones and the generic ones of prepared statements.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg.sql
import pytest
from sqlalchemy import Connection, Engine, event, text

from hub.core.ids import child_uuid, new_uuid
from hub.db.lanes import Limits
from hub.db.ledger import Attempt, Completion
from hub.db.partitions import ensure
from hub.db.states import State
from hub.webhooks import history_store, store
from hub.webhooks.store import DELIVERIES
from tests.integration.db.lane_rows import enter, make_lanes

TENANT = new_uuid()
HISTORY = 50_000
BACKLOG = 100_000
#: Tables that grow: nothing may read them from one end to the other.
_LARGE = re.compile(r"(delivery|message|attempt)_p\d{8}|delivery_waiting|delivery_lease|outbox|delivery_lane")


def fill(conn: Connection) -> None:
    """A day of history: events, deliveries that are done and their attempts; 10,000 lanes."""
    today = datetime.now(UTC)
    ensure(conn, today.date())
    values = {"tenant": TENANT, "n": HISTORY}
    conn.execute(
        text(
            "INSERT INTO hub.delivery_lane (endpoint_id, tenant_id) SELECT hub.uuid7(), :tenant"
            " FROM generate_series(1, 10000)"
        ),
        values,
    )
    conn.execute(
        text(
            "WITH lanes AS (SELECT array_agg(endpoint_id) AS ids FROM hub.delivery_lane),"
            " made AS (INSERT INTO hub.message (id, tenant_id, type, data, source)"
            "   SELECT hub.uuid7(), :tenant, 'a.b', '{\"n\": 1}', 'http' FROM generate_series(1, :n) RETURNING id),"
            " sent AS (INSERT INTO hub.delivery (id, tenant_id, message_id, endpoint_id, state, fence, attempt)"
            "   SELECT made.id, :tenant, made.id, lanes.ids[1 + (random() * 9999)::int], 'done', 1, 1"
            "   FROM made, lanes RETURNING id)"
            " INSERT INTO hub.attempt (id, work_id, tenant_id, kind, number, fence, started_at, outcome)"
            " SELECT hub.uuid7(), id, :tenant, 'delivery', 1, 1, now(), 'succeeded' FROM sent"
        ),
        values,
    )
    conn.execute(
        text(
            "INSERT INTO hub.outbox (message_id, tenant_id, due_at, size)"
            " SELECT hub.uuid7(), :tenant, now() + interval '1 day', 10 FROM generate_series(1, 20000)"
        ),
        values,
    )
    conn.execute(
        text(
            "INSERT INTO hub.delivery_lease (id, until, ids)"
            " SELECT hub.uuid7(), now() + interval '1 hour', ARRAY[hub.uuid7()] FROM generate_series(1, 5000)"
        )
    )


def hold_back(conn: Connection, count: int) -> None:
    """So many deliveries wait for an endpoint that is held."""
    (lane,) = make_lanes(conn, 1, tenant=TENANT)
    DELIVERIES.hold(conn, lane, "endpoint_paused")
    conn.execute(
        text(
            "WITH made AS (INSERT INTO hub.delivery (id, tenant_id, message_id, endpoint_id)"
            " SELECT hub.uuid7(), :tenant, hub.uuid7(), :lane FROM generate_series(1, :n) RETURNING id, due_at)"
            " INSERT INTO hub.delivery_waiting (endpoint_id, due_at, id) SELECT :lane, due_at, id FROM made"
        ),
        {"tenant": TENANT, "lane": lane, "n": count},
    )


def analyze(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        for table in (
            "delivery",
            "message",
            "attempt",
            "delivery_lane",
            "delivery_waiting",
            "delivery_lease",
            "outbox",
        ):
            conn.execute(text(f"VACUUM (ANALYZE) hub.{table}"))


def some_work(conn: Connection) -> None:
    """Lanes with something due, some of them limited, some with ordering keys."""
    plain = make_lanes(conn, 20, tenant=TENANT)
    limited = make_lanes(conn, 20, tenant=TENANT, limits=Limits(max_in_flight=5, rate=100.0))
    for lane in plain + limited:
        enter(conn, lane, 10, tenant=TENANT)
        enter(conn, lane, 2, tenant=TENANT, key="k")


@pytest.fixture
def filled(engine: Engine) -> Engine:
    with engine.begin() as conn:
        fill(conn)
        hold_back(conn, BACKLOG // 5)
        some_work(conn)
    analyze(engine)
    return engine


Statement = tuple[str, dict[str, Any]]


def sent_by(conn: Connection, action: Callable[[Connection], object]) -> list[Statement]:
    """The statements of an action, with their parameters; what it did is rolled back."""
    seen: list[Statement] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    event.listen(conn, "before_cursor_execute", note)
    action(conn)
    event.remove(conn, "before_cursor_execute", note)
    conn.rollback()
    return seen


def explain(conn: Connection, statement: Statement, *, generic: bool) -> Any:
    """Run a prepared statement; its plan with what was really read."""
    sql, parameters = statement
    names: list[str] = []

    def number(match: re.Match[str]) -> str:
        if match[1] not in names:
            names.append(match[1])
        return f"${names.index(match[1]) + 1}"

    prepared = re.sub(r"%\((\w+)\)s", number, sql).replace("%%", "%")
    driver: Any = conn.connection.dbapi_connection
    values = ", ".join(psycopg.sql.Literal(parameters[name]).as_string(driver) for name in names)
    conn.exec_driver_sql(f"SET LOCAL plan_cache_mode = force_{'generic' if generic else 'custom'}_plan")
    with driver.cursor() as cursor:
        cursor.execute(f"PREPARE judged AS {prepared}".encode())
        execute = f"EXECUTE judged({values})" if values else "EXECUTE judged"
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {execute}".encode())
        (found,) = cursor.fetchone()
        cursor.execute("DEALLOCATE judged")
    return found[0]


def nodes(plan: Any) -> Iterator[Any]:
    """A plan's nodes that ran."""
    if plan.get("Actual Loops"):
        yield plan
        for child in plan.get("Plans", []):
            yield from nodes(child)


def faults(found: Any) -> list[str]:
    """Large tables that were read from one end to the other, and partitions of other days that were read at all."""
    today = f"{datetime.now(UTC):%Y%m%d}"
    wrong = []
    for node in nodes(found["Plan"]):
        table, how = node.get("Relation Name", ""), node["Node Type"]
        if how != "ModifyTable" and (
            (how == "Seq Scan" and _LARGE.fullmatch(table))
            or (re.search(r"_p\d{8}$", table) and today not in table)
        ):
            wrong.append(f"{how} on {table}")
    return wrong


def claim(conn: Connection) -> Any:
    return DELIVERIES.claim(conn, owner="anna", limit=200, lease=60)


def complete(conn: Connection) -> None:
    results = [
        Completion(
            row.id, TENANT, row.fence, State.DUE if n % 5 == 0 else State.DONE, 1, 60.0 if n % 5 == 0 else 0.0,
            attempt=Attempt(datetime.now(UTC), "failed" if n % 5 == 0 else "succeeded", 1, status=200),
        )
        for n, row in enumerate(claim(conn))
    ]  # fmt: skip
    assert len(results) > 100
    DELIVERIES.complete(conn, DELIVERIES.prepare(results, worker="anna"))


def lapse(conn: Connection) -> None:
    assert claim(conn)
    conn.execute(text("UPDATE hub.delivery SET lease_until = now() - interval '1 s' WHERE state = 'leased'"))
    conn.execute(
        text("UPDATE hub.delivery_lease SET until = now() - interval '1 s' WHERE cardinality(ids) > 1")
    )
    assert DELIVERIES.lapse(conn)


def publish_and_fan_out(conn: Connection) -> None:
    ids = [new_uuid() for _ in range(200)]
    store.insert_messages(conn, [store.NewMessage(i, TENANT, "a.b", "{}", "http") for i in ids])
    assert len(store.claim_messages(conn, limit=100, max_bytes=10**6)) == 100
    lanes = conn.scalars(text("SELECT endpoint_id FROM hub.delivery_lane WHERE hold IS NULL LIMIT 20")).all()
    rows = [
        store.NewDelivery(
            child_uuid(i), TENANT, i, lanes[n % 20], State.LEASED if n % 2 else State.DUE,
            ordering_key="k" if n % 4 == 0 else None,
        )
        for n, i in enumerate(ids)
    ]  # fmt: skip
    store.fan_out(conn, rows, done=ids, owner="anna", lease=60)
    DELIVERIES.lock(conn, lanes)
    DELIVERIES.promote(conn, [(lane, "k") for lane in lanes])
    DELIVERIES.wake(conn, lanes)
    store.note_reasons(conn, dict.fromkeys(ids[:50], "no_endpoint"))


def load(conn: Connection) -> None:
    ids = conn.scalars(text("SELECT id FROM hub.message ORDER BY id DESC LIMIT 200")).all()
    assert len(store.load_messages(conn, ids)) == 200


def resend(conn: Connection) -> None:
    ids = conn.scalars(
        text("SELECT id FROM hub.delivery WHERE state = 'done' ORDER BY id DESC LIMIT 100")
    ).all()
    assert len(DELIVERIES.move(conn, TENANT, ids, to=State.DUE, allowed=[State.DONE])) == 100


def look(conn: Connection) -> None:
    assert store.look(conn) == (True, False)
    assert DELIVERIES.has_due(conn)
    assert DELIVERIES.held(conn, "endpoint_paused")


def show(conn: Connection) -> None:
    one = conn.execute(
        text("SELECT message_id, endpoint_id FROM hub.delivery ORDER BY id DESC LIMIT 1")
    ).one()
    for by in (
        {"message_id": one.message_id, "endpoint_id": None},
        {"message_id": None, "endpoint_id": one.endpoint_id},
    ):
        assert (
            history_store.list_deliveries(conn, TENANT, state=None, before=None, limit=20, **by)
            or by["endpoint_id"]
        )


#: What is judged, and how many of its statements prepare it.
ACTIONS: dict[str, Callable[[Connection], object]] = {
    "claim": claim,
    "complete": complete,
    "lapse": lapse,
    "publish and fan out": publish_and_fan_out,
    "load": load,
    "resend": resend,
    "look": look,
    "show": show,
}
#: Statements of the tests themselves.
_TESTS_OWN = (
    "SELECT id FROM hub.message ORDER", "SELECT id FROM hub.delivery WHERE state = 'done' ORDER",
    "UPDATE hub.delivery SET lease_until", "UPDATE hub.delivery_lease SET until",
    "SELECT endpoint_id FROM hub.delivery_lane WHERE hold IS NULL LIMIT", "SELECT message_id, endpoint_id FROM hub",
)  # fmt: skip


def test_hot_statements_read_indexes_of_the_day_alone(filled: Engine) -> None:
    """One test, because filling the tables is what costs."""
    wrong = []
    with filled.connect() as conn:
        for name, action in ACTIONS.items():
            sent = sent_by(conn, action)
            for generic in (False, True):
                for statement in sent:
                    # Executed in their order, for each finds what those before it did.
                    found = explain(conn, statement, generic=generic)
                    start = " ".join(statement[0].split())
                    if not start.startswith(_TESTS_OWN):
                        wrong += [
                            f"{name} ({'generic' if generic else 'custom'}): {w}: {start[:80]}"
                            for w in faults(found)
                        ]
                conn.rollback()
    assert not wrong, "\n".join(wrong)


def blocks(engine: Engine, *, generic: bool) -> int:
    """Pages that a claim looks at, once it is warm."""
    analyze(engine)
    with engine.connect() as conn:
        (statement,) = sent_by(conn, claim)
        seen: list[int] = []
        for _ in range(3):
            found = explain(conn, statement, generic=generic)
            plan = found["Plan"]
            seen.append(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
            assert faults(found) == []
            conn.rollback()
    return min(seen)


@pytest.mark.parametrize("generic", [False, True])
def test_what_waits_behind_a_lane_that_is_held_costs_the_others_nothing(
    engine: Engine, generic: bool
) -> None:
    with engine.begin() as conn:
        fill(conn)
        some_work(conn)
    without = blocks(engine, generic=generic)
    with engine.begin() as conn:
        hold_back(conn, BACKLOG)
    behind = blocks(engine, generic=generic)
    print(f"a claim looks at {without} pages, at {behind} with {BACKLOG} rows behind a lane that is held")
    assert behind <= 1.2 * without
