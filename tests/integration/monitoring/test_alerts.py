"""Alerts: told once when they begin to fire, and once when they are over."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from hub.monitoring.alerts import review
from hub.monitoring.checks import start_due
from tests.integration.integrations.provider import Answer, Call, Provider
from tests.integration.integrations.world import World

ERRORS = {"name": "errors", "metric": "error_rate", "at_least": 0.5, "min_calls": 4}


def reviewed(world: World) -> int:
    with world.engine.begin() as conn:
        return review(conn, datetime.now(UTC))


def events(world: World) -> list[dict[str, Any]]:
    rows = world.sql(
        "SELECT data::json AS data FROM hub.message WHERE type = 'integration.alert' ORDER BY id"
    )
    return [row.data for row in rows]


def listen(world: World, provider: Provider) -> None:
    endpoint = {"name": "ops", "url": provider.url, "kind": "operations", "event_types": ["integration.*"]}
    assert world.call("POST", "/endpoints", json=endpoint).status_code == 201


def call(world: World, integration: str, count: int) -> None:
    for _ in range(count):
        world.execute(integration)
    world.run_executions()


def test_an_error_rate_is_told_when_it_begins_and_when_it_is_over(world: World, provider: Provider) -> None:
    listen(world, provider)
    made = world.create(provider.url, alerts=[ERRORS], retry_policy={"max_retries": 0})
    assert reviewed(world) == 0
    provider.default = lambda _call: Answer(status=500)
    call(world, made["id"], 3)
    assert reviewed(world) == 0, "three calls say nothing"
    call(world, made["id"], 1)
    assert reviewed(world) == 1
    assert reviewed(world) == 0, "told once"
    (state,) = world.call("GET", f"/integrations/{made['id']}/alerts").json()
    assert (state["name"], state["firing"], state["value"]) == ("errors", True, 1.0)
    provider.default = lambda _call: Answer()
    call(world, made["id"], 5)
    assert reviewed(world) == 1
    assert [(one["state"], one["alert"], one["threshold"]) for one in events(world)] == [
        ("firing", "errors", 0.5), ("resolved", "errors", 0.5),
    ]  # fmt: skip


def test_a_service_that_becomes_slow_is_told(world: World, provider: Provider) -> None:
    alert = {"name": "slow", "metric": "latency_p95_ms", "at_least": 100, "min_calls": 2}
    made = world.create(provider.url, alerts=[alert])
    call(world, made["id"], 2)
    assert reviewed(world) == 0

    def slow(_call: Call) -> Answer:
        time.sleep(0.15)
        return Answer()

    provider.default = slow
    call(world, made["id"], 2)
    assert reviewed(world) == 1
    (state,) = world.call("GET", f"/integrations/{made['id']}/alerts").json()
    assert state["firing"] is True
    assert 100 <= state["value"] < 5_000


def test_silence_can_be_an_alert(world: World, provider: Provider) -> None:
    alert = {"name": "silence", "metric": "throughput_per_minute", "at_most": 0, "minutes": 1}
    made = world.create(provider.url, alerts=[alert])
    assert reviewed(world) == 1
    call(world, made["id"], 1)
    assert reviewed(world) == 1
    (state,) = world.call("GET", f"/integrations/{made['id']}/alerts").json()
    assert state["firing"] is False


def test_health_is_that_of_the_checks(world: World, provider: Provider) -> None:
    alert = {"name": "down", "metric": "health", "at_least": 2}
    check = {"path": "/health", "unhealthy_after": 1}
    world.create(provider.url, alerts=[alert], health_check=check)
    provider.default = lambda _call: Answer(status=503)
    world.call("GET", "/integrations")
    assert reviewed(world) == 0, "nothing was checked yet"
    with world.engine.begin() as conn:
        assert start_due(conn)
    world.run_checks()
    assert reviewed(world) == 1


def test_an_alert_on_health_is_over_when_nothing_is_checked_any_more(
    world: World, provider: Provider
) -> None:
    alert = {"name": "down", "metric": "health", "at_least": 2}
    check = {"path": "/health", "unhealthy_after": 1}
    made = world.create(provider.url, alerts=[alert], health_check=check)
    provider.default = lambda _call: Answer(status=503)
    with world.engine.begin() as conn:
        assert start_due(conn)
    world.run_checks()
    assert reviewed(world) == 1
    world.call("PATCH", f"/integrations/{made['id']}", json={"health_check": None})
    assert reviewed(world) == 1
    (state,) = world.call("GET", f"/integrations/{made['id']}/alerts").json()
    assert state["firing"] is False
    assert reviewed(world) == 0


def test_an_alert_that_is_removed_is_forgotten(world: World, provider: Provider) -> None:
    alert = {"name": "silence", "metric": "throughput_per_minute", "at_most": 0}
    made = world.create(provider.url, alerts=[alert, {**alert, "name": "other"}])
    assert reviewed(world) == 2
    world.call("PATCH", f"/integrations/{made['id']}", json={"alerts": [alert]})
    reviewed(world)
    assert [row.name for row in world.sql("SELECT name FROM hub.integration_alert")] == ["silence"]


def test_what_is_wrong_with_alerts_is_named(world: World, provider: Provider) -> None:
    answer = world.call(
        "POST",
        "/integrations",
        json={
            "name": "x",
            "base_url": provider.url,
            "alerts": [{"name": "a", "metric": "health"}, {"name": "a", "metric": "fog", "at_least": 1}],
        },
    )
    assert {error["path"] for error in answer.json()["errors"]} == {
        "alerts.0.at_least", "alerts.1.name", "alerts.1.metric",
    }  # fmt: skip
