"""Many flows and large events: no transaction has more of them than it can hold, and nobody else waits for them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from hub.core.ids import Kind, format_id, new_uuid, parse_id
from hub.flows import store as flow_store
from hub.flows import triggers
from hub.flows.store import load_flows
from hub.flows.triggers import FlowTriggers
from hub.integrations.executions import portions
from hub.integrations.executions.store import insert_executions
from hub.webhooks import store as webhook_store
from tests.integration.flows.test_flows import Flows
from tests.integration.integrations.provider import Provider
from tests.integration.integrations.world import World


@pytest.fixture
def flows(world: World) -> Flows:
    return Flows(world)


def multiply(flows: Flows, count: int) -> None:
    """So many more like the only one."""
    columns = ", ".join(
        row.attname
        for row in flows.world.sql(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'hub.flow'::regclass AND attnum > 0"
            " AND NOT attisdropped AND attname NOT IN ('id', 'name')"
        )
    )
    flows.world.sql(
        f"INSERT INTO hub.flow (id, name, {columns}) SELECT hub.uuid7(), name || n, {columns}"
        " FROM hub.flow, generate_series(1, :count) AS n",
        count=count,
    )
    flows.world.sql("UPDATE hub.tenant SET config_version = config_version + 1")


def started(flows: Flows, event: str | None = None) -> tuple[int, int]:
    """Executions, and flows that have one."""
    (row,) = flows.world.sql(
        "SELECT count(*) AS all, count(DISTINCT flow_id) AS flows FROM hub.execution"
        " WHERE CAST(:event AS uuid) IS NULL OR event_id = :event",
        event=None if event is None else parse_id(Kind.MESSAGE, event),
    )
    return row.all, row.flows


LARGE = {"text": "x" * 200_000}


def test_a_large_event_for_many_flows_begins_them_in_steps_and_goes_behind_the_others(
    flows: Flows, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[int] = []

    def insert(conn: Any, tenant_id: Any, source: str, rows: Any) -> Any:
        statements.append(sum(len(row.input) for row in rows))
        return insert_executions(conn, tenant_id, source, rows)

    monkeypatch.setattr(portions, "insert_executions", insert)
    flows.create(flows.world.create(provider.url)["id"])
    multiply(flows, 99)
    large = flows.publish(data=LARGE)
    other = flows.publish("user.made")
    flows.source.claim(100)
    first = started(flows)[0]
    assert 0 < first < 50
    # It was not in the way of the other one, and did not end.
    states = {one["id"]: one["state"] for one in flows.world.call("GET", "/events").json()["data"]}
    assert states == {large: "due", other: "done"}
    for _ in range(10):
        flows.source.claim(100)
    assert started(flows) == (100, 100)
    assert flows.world.sql("SELECT count(*) FROM hub.outbox") == [(0,)]
    assert len(statements) >= 3
    assert max(statements) <= 8 * 1_048_576


def test_many_large_events_begin_together_no_more_than_a_transaction_holds(
    flows: Flows, provider: Provider
) -> None:
    flows.create(flows.world.create(provider.url)["id"])
    multiply(flows, 19)
    events = [flows.publish(data=LARGE) for _ in range(8)]
    flows.source.claim(100)
    # Each is a share for itself: they wait where they are.
    begun = [started(flows, event)[0] for event in events]
    assert begun == [20, 20, 20, 20, 0, 0, 0, 0]
    assert flows.world.sql("SELECT count(*) FROM hub.outbox WHERE after_trigger IS NOT NULL") == [(0,)]
    flows.source.claim(100)
    assert started(flows) == (160, 20)


def test_a_crash_between_two_steps_begins_nothing_twice(
    flows: Flows, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    flows.create(flows.world.create(provider.url)["id"])
    multiply(flows, 99)
    flows.publish(data=LARGE)
    flows.source.claim(100)
    first = started(flows)

    def crash(*_: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(webhook_store, "put_back", crash)
        with pytest.raises(RuntimeError):
            flows.source.claim(100)
    assert started(flows) == first
    # A flow that is gone by then does not begin; a new one does.
    flows.world.sql("DELETE FROM hub.flow WHERE id IN (SELECT id FROM hub.flow ORDER BY id DESC LIMIT 10)")
    flows.create(flows.world.call("GET", "/integrations").json()["data"][0]["id"], name="late")
    for _ in range(5):
        flows.source.claim(100)
    assert started(flows) == (91, 91)


def test_endpoints_follow_when_all_flows_have_begun_and_the_order_of_a_key_is_kept(
    flows: Flows, provider: Provider
) -> None:
    world = flows.world
    flows.create(world.create(provider.url)["id"])
    multiply(flows, 99)
    made = world.call(
        "POST",
        "/endpoints",
        json={"name": "one", "url": provider.url, "event_types": ["*"], "ordering": "strict"},
    )
    assert made.status_code == 201, made.text
    first = flows.publish(data=LARGE, ordering_key="k")
    second = flows.publish("user.made", ordering_key="k")
    flows.source.claim(100)
    assert world.sql("SELECT count(*) FROM hub.delivery") == [(0,)]
    for _ in range(10):
        flows.source.claim(100)
    order = world.sql("SELECT message_id FROM hub.delivery ORDER BY id")
    assert [format_id(Kind.MESSAGE, row.message_id) for row in order] == [first, second]
    assert started(flows) == (100, 100)


def test_an_event_whose_flows_have_begun_in_part_cannot_be_taken_back(
    flows: Flows, provider: Provider
) -> None:
    flows.create(flows.world.create(provider.url)["id"])
    multiply(flows, 99)
    event = flows.publish(data=LARGE)
    flows.source.claim(100)
    # As a transaction sees it that is older than the step.
    flows.world.sql("UPDATE hub.outbox SET due_at = now() + interval '1 second'")
    assert flows.world.call("POST", f"/events/{event}/cancel").status_code == 409


def test_a_tenant_has_so_many_flows_and_no_more(flows: Flows, provider: Provider) -> None:
    world = flows.world
    integration = world.create(provider.url)["id"]
    made = flows.create(integration)
    multiply(flows, 499)
    body = {"name": "more", "event_types": ["a"], "integration": integration, "operation": "make_user"}
    answer = world.call("POST", "/flows", json=body)
    assert (answer.status_code, "500 flows" in answer.json()["detail"]) == (409, True)
    assert world.call("DELETE", f"/flows/{made['id']}").status_code == 204
    assert world.call("POST", "/flows", json=body).status_code == 201


def test_flows_of_tenants_that_publish_nothing_for_long_are_forgotten(
    flows: Flows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "_MAX_TENANTS", 3)
    loaded: list[set[UUID]] = []

    def load(conn: Any, tenants: Any) -> Any:
        loaded.append(set(tenants))
        return load_flows(conn, tenants)

    monkeypatch.setattr(flow_store, "load_flows", load)
    known = FlowTriggers(flows.world.bell.ring)
    one, two, three, four, five = (new_uuid() for _ in range(5))
    with flows.world.engine.begin() as conn:
        for some in ({one}, {two}, {three}, {one}, {four}, {one}, {two}):
            known.begin(conn, dict.fromkeys(some, 1))
        assert loaded == [{one}, {two}, {three}, {four}, {two}]
        # All of one transaction are kept while it lasts.
        known.begin(conn, dict.fromkeys((one, two, three, four, five), 1))
        assert loaded[-1] == {three, five}
        known.begin(conn, {two: 2})
        assert loaded[-1] == {two}
