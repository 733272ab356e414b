"""Finding integrations and executions: every filter, page by page, by an index however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.engine import make_url

from hub.core.ids import new_uuid
from hub.db.engine import make_engine
from hub.db.partitions import ensure
from hub.integrations.executions import store
from tests.integration.integrations.provider import Answer, Provider
from tests.integration.integrations.world import World

ROWS = 200_000
TENANT, INTEGRATION, BATCH, SCHEDULE, FLOW, EVENT = (new_uuid() for _ in range(6))


def names(world: World, **query: Any) -> list[str]:
    answer = world.call("GET", "/integrations", params=query)
    assert answer.status_code == 200, answer.text
    return [one["name"] for one in answer.json()["data"]]


def test_integrations_are_found_by_tags_texts_types_and_statuses(world: World, provider: Provider) -> None:
    for name, fields in (
        ("crm", {"tags": ["sales", "eu"], "description": "Customers 100% of them"}),
        ("erp", {"tags": ["sales"], "status": "deprecated"}),
        ("hooks", {"type": "webhook", "tags": ["eu"], "status": "inactive"}),
        ("CRM_old", {"description": "the one before"}),
    ):
        world.create(provider.url, name=name, **fields)
    assert names(world, tag="sales") == ["erp", "crm"]
    assert names(world, tag=["sales", "eu"]) == ["crm"]
    assert names(world, tag="none") == []
    assert names(world, search="crm") == ["CRM_old", "crm"]
    assert names(world, search="CUSTOMERS") == ["crm"]
    assert names(world, search="100%") == ["crm"]
    # Not patterns.
    assert names(world, search="_") == ["CRM_old"]
    assert names(world, search="%old") == []
    assert names(world, type="webhook") == ["hooks"]
    assert names(world, status="deprecated", tag="sales") == ["erp"]
    assert names(world, search="crm", limit=1) == ["CRM_old"]
    for bad in ({"type": "gadget"}, {"status": "asleep"}, {"search": "x" * 129}, {"tags": "a"}):
        assert world.call("GET", "/integrations", params=bad).status_code == 422, bad


def test_executions_are_found_by_everything_they_are_shown_with(world: World, provider: Provider) -> None:
    made, other = world.create(provider.url), world.create(provider.url, name="other")
    path = f"/integrations/{made['id']}"
    provider.script = [Answer(200), Answer(404), Answer(500)]
    ids: list[str] = []
    for operation, user in (("get_user", "ann"), ("get_user", "bob"), ("make_user", "ann")):
        given = {"path": {"id": 1}} if operation == "get_user" else {"body": {}}
        body = {"operation": operation, "input": given, "user": user}
        ids.append(world.call("POST", f"{path}/execute", json=body).json()["id"])
        world.run_executions()
    elsewhere = world.execute(other["id"])
    good, missing, broken = ids

    def found(**query: Any) -> list[str]:
        answer = world.call("GET", "/executions", params=query)
        assert answer.status_code == 200, answer.text
        return [one["id"] for one in answer.json()["data"]]

    assert found(integration=made["id"]) == [broken, missing, good]
    assert found(operation="get_user") == [elsewhere, missing, good]
    assert found(state="failed") == [broken, missing]
    assert found(error_class="http_5xx") == [broken]
    assert found(error_class="http_4xx", user="bob") == [missing]
    assert found(status=404) == [missing]
    assert found(user="ann") == [broken, good]
    assert found(state="due") == [elsewhere]
    moment = world.read(missing)["created_at"]
    assert found(since=moment)[-1] in {missing, broken}
    assert good in found(until=moment)
    past, future = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"
    assert found(since=future) == found(until=past) == []
    assert len(found(since=past, until=future)) == 4
    for bad in (
        {"since": "2026-01-01T00:00:00"}, {"since": "soon"}, {"state": "lost"}, {"batch": "x"}, {"schedule": "x"},
        {"flow": "x"}, {"event": "x"}, {"status": 1000}, {"colour": "red"},
    ):  # fmt: skip
        assert world.call("GET", "/executions", params=bad).status_code == 422, bad
    assert len(found(since="0001-01-01T00:00:00Z", until="9999-12-31T23:59:59Z")) == 4


# -- many rows --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(postgres_url: str, template_database: str) -> Iterator[Engine]:
    """A day with 200,000 executions: one integration of fifty, one user of a thousand, five failures of a hundred."""
    server = make_engine(postgres_url)
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text(f"CREATE DATABASE many_executions TEMPLATE {template_database}"))
    engine = make_engine(
        make_url(postgres_url).set(database="many_executions").render_as_string(hide_password=False)
    )
    with engine.begin() as conn:
        ensure(conn, datetime.now(UTC).date())
        conn.execute(
            text(
                "INSERT INTO hub.execution (id, tenant_id, integration_id, operation, source, state, error_class, status,"
                " on_behalf_of, batch_id, schedule_id, flow_id, event_id, due_at)"
                " SELECT hub.uuid7(), CASE WHEN n % 4 = 0 THEN :other ELSE :tenant END,"
                " CASE WHEN n % 50 = 1 THEN :integration ELSE CAST(md5((n % 50)::text) AS uuid) END, 'op' || n % 20,"
                " 'http', CASE WHEN n % 100 < 5 THEN 'failed' ELSE 'done' END,"
                " CASE n % 100 WHEN 1 THEN 'timeout' WHEN 2 THEN 'http_5xx' WHEN 3 THEN 'http_4xx' END,"
                " CASE WHEN n % 100 < 5 THEN 500 ELSE 200 END, 'user' || n % 1000,"
                " CASE WHEN n BETWEEN 1001 AND 2000 THEN :batch END, CASE WHEN n % 1000 = 1 THEN :schedule END,"
                " CASE WHEN n % 1000 = 2 THEN :flow END, CASE WHEN n % 10000 = 3 THEN :event END, now()"
                " FROM generate_series(1, :rows) AS n"
            ),
            {"tenant": TENANT, "other": new_uuid(), "integration": INTEGRATION, "batch": BATCH, "schedule": SCHEDULE,
             "flow": FLOW, "event": EVENT, "rows": ROWS},
        )  # fmt: skip
        conn.execute(text("ANALYZE hub.execution"))
    yield engine
    engine.dispose()
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("DROP DATABASE many_executions WITH (FORCE)"))
    server.dispose()


def listed(conn: Connection, **filters: Any) -> tuple[list[Any], list[dict[str, Any]]]:
    """A page, and the scans that its statement is made of, with the rows that they read."""
    statements: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    event.listen(conn, "before_cursor_execute", note)
    try:
        rows = store.list_executions(conn, TENANT, limit=51, **{"after": None, **filters})
    finally:
        event.remove(conn, "before_cursor_execute", note)
    ((statement, parameters),) = statements
    explained = conn.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).scalar_one()
    return list(rows), list(_scans(explained[0]["Plan"]))


def _scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "Scan" in plan["Node Type"] and plan.get("Actual Loops"):
        read = (
            plan["Actual Rows"]
            + plan.get("Rows Removed by Filter", 0)
            + plan.get("Rows Removed by Index Recheck", 0)
        )
        yield {
            "scan": plan["Node Type"],
            "of": plan.get("Index Name") or plan.get("Relation Name"),
            "rows": read * plan["Actual Loops"],
        }
    for child in plan.get("Plans", ()):
        yield from _scans(child)


@pytest.mark.parametrize(
    ("filters", "at_most"),
    [
        ({}, 200),
        ({"integration_id": INTEGRATION}, 200),
        ({"integration_id": INTEGRATION, "operation": "op1"}, 400),
        ({"operation": "op3"}, 3_000),
        ({"state": "done"}, 200),
        ({"state": "failed"}, 3_000),
        ({"state": "due"}, 200),
        ({"state": "held"}, 200),
        ({"state": "leased"}, 200),
        ({"error_class": "timeout"}, 200),
        ({"error_class": "nothing_like_it"}, 10),
        ({"batch_id": BATCH}, 4_500),
        ({"schedule_id": SCHEDULE}, 400),
        ({"flow_id": FLOW}, 400),
        ({"event_id": EVENT}, 100),
        ({"on_behalf_of": "user17"}, 200),
        ({"status": 500}, 3_000),
    ],
    # The values are made anew in every process.
    ids=lambda given: "+".join(given) or "all" if isinstance(given, dict) else str(given),
)
def test_a_page_is_read_by_an_index(many: Engine, filters: dict[str, Any], at_most: int) -> None:
    with many.connect() as conn:
        rows, scans = listed(conn, **filters)
        assert all("Seq" not in one["scan"] or one["rows"] == 0 for one in scans), scans
        assert sum(one["rows"] for one in scans) <= at_most, scans
        assert [row.id for row in rows] == sorted((row.id for row in rows), reverse=True)
        for row in rows:
            assert row.tenant_id == TENANT
            assert all(getattr(row, name) == value for name, value in filters.items())
        if not rows:
            return
        # The page in the middle of it all costs the same.
        after, again = listed(conn, after=rows[-1].id, **filters)
        assert all("Seq" not in one["scan"] or one["rows"] == 0 for one in again), again
        assert sum(one["rows"] for one in again) <= at_most, again
        assert not {row.id for row in after} & {row.id for row in rows}


def test_times_bound_what_is_read(many: Engine) -> None:
    now = datetime.now(UTC)
    with many.connect() as conn:
        rows, scans = listed(conn, since=now + timedelta(hours=1))
        assert rows == []
        assert sum(one["rows"] for one in scans) == 0
        _, scans = listed(conn, until=now - timedelta(days=3))
        assert sum(one["rows"] for one in scans) == 0


def test_every_row_comes_exactly_once_over_many_pages(many: Engine) -> None:
    with many.connect() as conn:
        seen: list[Any] = []
        after = None
        while rows := store.list_executions(conn, TENANT, after=after, limit=250, integration_id=INTEGRATION):
            seen += [row.id for row in rows]
            after = rows[-1].id
        wanted = "SELECT count(*) FROM hub.execution WHERE tenant_id = :t AND integration_id = :i"
        assert (
            len(seen)
            == len(set(seen))
            == conn.execute(text(wanted), {"t": TENANT, "i": INTEGRATION}).scalar_one()
        )
