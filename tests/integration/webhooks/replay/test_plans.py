"""Every look goes through an index, and reads no more than its page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, text

from tests.integration.webhooks.replay.past import NOWHERE, Past
from tests.integration.webhooks.world import World

_LOOKS = ("FROM hub.delivery ", "FROM hub.message m", "hub.attempt", "FROM unnest", "FROM hub.replay ")


@pytest.fixture
def looks(world: World) -> Iterator[list[tuple[str, Any]]]:
    """The statements that look for something, with their values."""
    seen: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith("SELECT") and any(part in statement for part in _LOOKS):
            seen.append((statement, values))

    event.listen(world.engine, "before_cursor_execute", note)
    yield seen
    event.remove(world.engine, "before_cursor_execute", note)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [("failed", {}), ("filter", {"event_types": ["a.*"], "response": ["5xx"]}), ("missing", {}), ("all", {})],
    ids=["failed", "filter", "missing", "all"],
)
def test_a_step_reads_a_page_through_indexes(
    world: World, past: Past, looks: list[tuple[str, Any]], kind: str, fields: dict[str, Any]
) -> None:
    world.endpoint(NOWHERE)
    past.events(3, type_="a.x")
    # History of other endpoints, tenants and days, for the planner to be tempted by.
    world.sql(
        "INSERT INTO hub.delivery (id, tenant_id, message_id, endpoint_id, state)"
        " SELECT hub.uuid7(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'failed'"
        " FROM generate_series(1, 20000)"
    )
    world.sql(
        "INSERT INTO hub.message (id, tenant_id, type, data, source)"
        " SELECT hub.uuid7(), gen_random_uuid(), 'a.x', '{}', 'http' FROM generate_series(1, 20000)"
    )
    world.sql(
        "INSERT INTO hub.attempt (id, work_id, tenant_id, kind, number, fence, started_at, outcome)"
        " SELECT hub.uuid7(), gen_random_uuid(), gen_random_uuid(), 'delivery', 1, 1, now(), 'failed'"
        " FROM generate_series(1, 20000)"
    )
    for table in ("delivery", "message", "attempt"):
        world.sql(f"ANALYZE hub.{table}")
    past.replay(kind, **fields)
    looks.clear()
    past.runner().step()
    assert len(looks) >= 2
    with world.engine.connect() as conn:
        for statement, values in list(looks):
            if "FOR UPDATE" in statement:
                continue
            cursor = conn.connection.cursor()
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values)
            found: list[dict[str, Any]] = cursor.fetchall()[0][0]
            for node in nodes(found[0]["Plan"]):
                if node.get("Relation Name", "").startswith(("delivery_p", "message_p", "attempt_p")):
                    rows = node["Actual Rows"] * node["Actual Loops"]
                    removed = node.get("Rows Removed by Filter", 0)
                    assert rows + removed <= 100, (statement, node)
                    executed = node["Actual Loops"] > 0
                    assert not executed or node["Node Type"] != "Seq Scan" or rows + removed == 0, node


def test_taking_a_job_costs_what_is_open_not_what_is_over(world: World, past: Past) -> None:
    world.sql(
        "INSERT INTO hub.replay (id, tenant_id, kind, since, until, rate, state)"
        " SELECT gen_random_uuid(), gen_random_uuid(), 'failed', now(), now(), 1, 'done' FROM generate_series(1, 5000)"
    )
    past.replay()
    world.sql("ANALYZE hub.replay")
    with world.engine.connect() as conn:
        rows = conn.execute(
            text(
                "EXPLAIN SELECT * FROM hub.replay WHERE state IN ('pending', 'running') AND due_at <= now()"
                " ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED"
            )
        )
        plan = "\n".join(row[0] for row in rows)
    assert "replay_due_at_idx" in plan
