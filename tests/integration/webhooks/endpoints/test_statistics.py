"""How endpoints do, as people see it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hub.webhooks.endpoints.store import prune_metrics
from tests.integration.integrations.provider import Answer, Provider
from tests.integration.webhooks.endpoints.conftest import Api, row_id


def test_attempts_are_counted_for_a_period(api: Api, receiver: Provider) -> None:
    receiver.script = [Answer(200), Answer(200), Answer(200), Answer(500)]
    made = api.make(receiver.url)
    path = f"/endpoints/{made['id']}"
    source = api.world.source()
    api.world.publish("1", "2", "3", "4")
    api.world.deliver(source)
    source.flush()
    found = api.get(f"{path}/statistics?period=1h")
    assert (found["attempts"], found["succeeded"], found["failed"]) == (4, 3, 1)
    assert (found["delivery_rate"], found["error_rate"], found["period"]) == (75.0, 25.0, "1h")
    assert found["per_minute"] == round(4 / 60, 3)
    assert 0 < found["average_latency_ms"] <= found["p95_latency_ms"] * 2
    assert found["last_delivery_at"] is not None
    assert found["last_failure_at"] is not None
    assert (found["waiting"], found["hold"], found["hold_until"], found["breaker"]) == (
        1,
        None,
        None,
        "closed",
    )
    monitoring = api.get(path)["monitoring"]
    assert monitoring == {name: found[name] for name in monitoring}

    api.world.sql("UPDATE hub.endpoint_metric SET bucket = bucket - interval '2 hours'")
    assert api.get(f"{path}/statistics?period=1h")["attempts"] == 0
    assert api.get(f"{path}/statistics?period=24h")["attempts"] == 4
    with api.world.engine.begin() as conn:
        assert prune_metrics(conn, datetime.now(UTC) - timedelta(hours=3)) == 0
        assert prune_metrics(conn, datetime.now(UTC)) == 1
    assert api.get(f"{path}/statistics")["delivery_rate"] is None


def test_a_breaker_and_what_it_waits_for_are_told(api: Api) -> None:
    made = api.make()
    path = f"/endpoints/{made['id']}/statistics"

    def hold(until: str) -> dict[str, object]:
        api.world.sql(
            f"UPDATE hub.delivery_lane SET hold = 'breaker_open', hold_until = now() + interval '{until}'"
            " WHERE endpoint_id = :id",
            id=row_id(made),
        )
        found = api.get(path)
        assert found["hold"] == "breaker_open"
        assert found["hold_until"] is not None
        return found

    assert hold("1 minute")["breaker"] == "open"
    assert hold("-1 second")["breaker"] == "half_open"
    assert api.get(f"/endpoints/{made['id']}")["hold"] == "breaker_open"


def test_an_unknown_period_is_refused(api: Api) -> None:
    made = api.make()
    assert api.call("GET", f"/endpoints/{made['id']}/statistics?period=1y").status_code == 422
