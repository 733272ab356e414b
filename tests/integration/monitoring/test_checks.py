from __future__ import annotations

import json
import threading
from typing import Any

import pytest
import redis
from celery import Celery

from hub.core.ids import Kind, parse_id
from hub.db.states import State
from hub.integrations.pipeline import chain
from hub.integrations.pipeline.call import Stopped
from hub.monitoring import store
from hub.monitoring.checks import start_due
from hub.queue.bell import Bell
from hub.queue.contracts import DOORBELL_IDS, TaskName
from tests.integration.integrations.provider import Answer, Provider
from tests.integration.integrations.world import World

CHECK = {"interval_seconds": 60, "path": "/health"}


def start(world: World) -> list[str]:
    with world.engine.begin() as conn:
        return start_due(conn)


def check(world: World) -> None:
    """Let the interval pass, start what is due and run it."""
    world.sql("UPDATE hub.integration SET next_check_at = now() WHERE next_check_at IS NOT NULL")
    assert start(world)
    world.run_checks()


def health(world: World, integration: str) -> dict[str, Any]:
    answer = world.call("GET", f"/integrations/{integration}/health")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def changes(world: World, integration: str) -> list[tuple[str, str]]:
    answer = world.call("GET", f"/integrations/{integration}/health-changes")
    return [(one["from_status"], one["to_status"]) for one in answer.json()["data"]]


def test_a_due_check_is_made_and_its_verdict_is_shown(world: World, provider: Provider) -> None:
    made = world.create(provider.url, health_check=CHECK, auth={"mode": "bearer", "token": "some-long-token"})
    before = health(world, made["id"])
    assert (before["status"], before["last_checks"]) == ("unknown", [])
    (run,) = start(world)
    assert run.startswith("chk_")
    world.run_checks()
    after = health(world, made["id"])
    assert (after["status"], after["consecutive_failures"], after["last_error"]) == ("healthy", 0, None)
    assert after["last_latency_ms"] > 0
    (shown,) = after["last_checks"]
    assert (shown["id"], shown["state"], shown["ok"], shown["status"]) == (run, "done", True, 200)
    assert after["checks"]["5m"]["calls"] == 1
    assert after["calls"]["5m"]["calls"] == 0
    (call,) = provider.calls
    assert (call.path, call.headers["authorization"]) == ("/health", "Bearer some-long-token")
    assert changes(world, made["id"]) == [("unknown", "healthy")]


def test_a_check_is_started_once_for_each_interval(world: World, provider: Provider) -> None:
    made = world.create(provider.url, health_check=CHECK)
    assert len(start(world)) == 1
    assert start(world) == []
    world.run_checks()
    # Two intervals and a bit were missed: one check, and the rhythm stays.
    world.sql("UPDATE hub.integration SET next_check_at = now() - interval '130 seconds'")
    assert len(start(world)) == 1
    (left,) = world.sql("SELECT extract(epoch FROM next_check_at - now())::float8 FROM hub.integration")
    assert 45 < left[0] <= 50
    assert made["health_check"]["interval_seconds"] == 60


def test_an_integration_has_one_check_under_way_at_most(world: World, provider: Provider) -> None:
    world.create(provider.url, health_check=CHECK)
    assert len(start(world)) == 1
    world.sql("UPDATE hub.integration SET next_check_at = now()")
    assert start(world) == []
    world.run_checks()
    world.sql("UPDATE hub.integration SET next_check_at = now()")
    assert len(start(world)) == 1


def test_two_starters_share_the_work(world: World, provider: Provider) -> None:
    world.create(provider.url, health_check=CHECK)
    with world.engine.begin() as one, world.engine.begin() as other:
        assert len(start_due(one)) == 1
        assert start_due(other) == []


def test_a_thousand_due_checks_are_two_statements_and_one_message(
    world: World, provider: Provider, redis_url: str
) -> None:
    world.create(provider.url, name="template", health_check={**CHECK, "degraded_after_ms": 30_000})
    world.sql(
        "INSERT INTO hub.integration (id, tenant_id, name, base_url, retry_policy, operations, health_check,"
        " next_check_at) SELECT CAST(md5(n::text) AS uuid), tenant_id, 'n' || n, base_url, retry_policy, operations,"
        " health_check, now() FROM hub.integration, generate_series(1, 999) n"
    )
    sent: list[dict[str, Any]] = []

    class Recorder(Celery):
        def send_task(self, name: str, *_: Any, **options: Any) -> Any:
            sent.append({"name": name, **options})

    with redis.Redis.from_url(redis_url) as client:
        bell = Bell(client, Recorder())
        with world.engine.begin() as conn:
            assert store.count_due(conn, limit=5000) == 1000
            started = start_due(conn)
        bell.ring(TaskName.CHECKS_RUN, started)
    assert len(set(started)) == 1000
    assert [message["name"] for message in sent] == ["hub.checks.run"]
    assert len(sent[0]["kwargs"]["payload"]["ids"]) == DOORBELL_IDS

    report = world.run_checks()
    assert report.recorded == 1000
    assert len(provider.calls) == 1000
    assert [
        tuple(row) for row in world.sql("SELECT status, count(*) FROM hub.integration_health GROUP BY 1")
    ] == [("healthy", 1000)]
    summary = world.call("GET", "/monitoring/summary").json()
    assert summary["integrations"] == {"unknown": 0, "healthy": 1000, "degraded": 0, "unhealthy": 0}
    assert summary["checks"]["1h"]["calls"] == 1000
    assert summary["checks"]["1h"]["success_rate"] == 1.0


def test_health_goes_down_step_by_step_and_comes_back(world: World, provider: Provider) -> None:
    made = world.create(provider.url, health_check={**CHECK, "unhealthy_after": 2})
    check(world)
    provider.script = [Answer(500), Answer(503)]
    check(world)
    assert health(world, made["id"])["status"] == "degraded"
    check(world)
    down = health(world, made["id"])
    assert (down["status"], down["consecutive_failures"]) == ("unhealthy", 2)
    assert down["last_error"] == "The answer was status 503."
    check(world)
    assert health(world, made["id"])["status"] == "healthy"
    assert changes(world, made["id"]) == [
        ("unhealthy", "healthy"),
        ("degraded", "unhealthy"),
        ("healthy", "degraded"),
        ("unknown", "healthy"),
    ]
    windows = health(world, made["id"])["checks"]["5m"]
    assert (windows["calls"], windows["failed"], windows["success_rate"]) == (4, 2, 0.5)


def test_a_check_ends_at_its_own_timeout(world: World, provider: Provider) -> None:
    gate = threading.Event()
    provider.script = [Answer(gate=gate)]
    made = world.create(provider.url, health_check={**CHECK, "timeout_seconds": 0.2, "unhealthy_after": 1})
    check(world)
    gate.set()
    down = health(world, made["id"])
    assert down["status"] == "unhealthy"
    assert down["last_checks"][0]["error_class"] == "timeout"
    # Without it: 30 seconds.
    assert down["last_latency_ms"] < 10_000


def test_expected_statuses_decide_what_is_fine(world: World, provider: Provider) -> None:
    made = world.create(
        provider.url, health_check={**CHECK, "expected_statuses": [401], "unhealthy_after": 1}
    )
    provider.script = [Answer(401), Answer(200)]
    check(world)
    assert health(world, made["id"])["status"] == "healthy"
    check(world)
    down = health(world, made["id"])
    assert (down["status"], down["last_checks"][0]["ok"]) == ("unhealthy", False)
    assert "not expected" in down["last_error"]


def test_nothing_is_checked_while_it_is_not_meant_to_be(world: World, provider: Provider) -> None:
    made = world.create(provider.url, health_check=CHECK, status="maintenance")
    path = f"/integrations/{made['id']}"
    assert start(world) == []
    world.call("PATCH", path, json={"status": "active"})
    assert len(start(world)) == 1
    # It was started and then taken out of service: the check is skipped and says nothing.
    world.call("PATCH", path, json={"status": "inactive"})
    world.run_checks()
    shown = health(world, made["id"])
    assert (shown["status"], shown["last_checks"][0]["state"]) == ("unknown", "skipped")
    world.call("PATCH", path, json={"status": "active", "health_check": None})
    assert start(world) == []
    assert health(world, made["id"])["next_check_at"] is None
    assert not provider.calls


def test_a_deleted_integration_does_not_stop_the_others(world: World, provider: Provider) -> None:
    gone = world.create(provider.url, name="gone", health_check=CHECK)
    stays = world.create(provider.url, name="stays", health_check=CHECK)
    assert len(start(world)) == 2
    world.call("DELETE", f"/integrations/{gone['id']}")
    world.run_checks()
    assert health(world, stays["id"])["status"] == "healthy"
    assert [row[0] for row in world.sql("SELECT state FROM hub.check_run ORDER BY state")] == [
        "done",
        "skipped",
    ]


def test_rolling_numbers_count_calls_and_leave_old_ones_out(world: World, provider: Provider) -> None:
    made = world.create(provider.url, retry_policy={"max_retries": 0})
    provider.script = [Answer(500)]
    for _ in range(4):
        world.execute(made["id"])
    world.run_executions(capacity=1)
    uuid = parse_id(Kind.INTEGRATION, made["id"])
    bounds = ", ".join(["100"] * 11)
    world.sql(
        "INSERT INTO hub.integration_metric SELECT :tenant, :id, date_trunc('minute', now() - ago * interval '1 minute'),"
        f" 'call', 100, 0, 500, 1000, {bounds} FROM unnest(ARRAY[30, 300, 3000]) ago",
        tenant=world.tenant_id,
        id=uuid,
    )
    calls = health(world, made["id"])["calls"]
    assert [calls[name]["calls"] for name in ("5m", "1h", "24h")] == [4, 104, 204]
    assert calls["5m"]["success_rate"] == 0.75
    assert calls["1h"]["success_rate"] == pytest.approx(103 / 104, abs=1e-5)
    assert calls["24h"]["p95_latency_ms"] <= 10
    assert 4 / 361 < calls["5m"]["throughput_per_second"] <= 4 / 300
    summary = world.call("GET", "/monitoring/summary").json()
    assert summary["calls"]["24h"]["calls"] == 204
    assert summary["executions"] == {"due": 0, "leased": 0, "held": 0}
    stranger = world.other_key(tenant="globex")
    foreign = world.call("GET", "/monitoring/summary", key=stranger).json()
    assert foreign["calls"]["24h"]["calls"] == 0


def test_a_check_shows_no_secret(world: World, provider: Provider) -> None:
    canary = "canary-91d2aa07-secret"
    made = world.create(
        provider.url, health_check={**CHECK, "unhealthy_after": 1}, auth={"mode": "bearer", "token": canary}
    )
    provider.default = lambda call: Answer(
        500, json.dumps(call.headers).encode(), {"Location": f"/?{canary}"}
    )
    check(world)
    texts = [json.dumps(health(world, made["id"]))]
    for table in ("check_run", "attempt", "integration_health", "health_change"):
        texts += [row[0] for row in world.sql(f"SELECT to_jsonb(t)::text FROM hub.{table} t")]
    assert canary in provider.calls[0].headers["authorization"]
    assert not [text for text in texts if canary in text]


def test_health_goes_with_its_check(world: World, provider: Provider) -> None:
    check_ = {**CHECK, "unhealthy_after": 1}
    made = world.create(provider.url, health_check=check_)
    path = f"/integrations/{made['id']}"
    provider.script = [Answer(500)]
    check(world)
    world.call("PATCH", path, json={"health_check": None})
    gone = health(world, made["id"])
    assert (gone["status"], gone["since"], gone["last_error"]) == ("unknown", None, None)
    assert gone["consecutive_failures"] == 0
    assert world.call("GET", "/monitoring/summary").json()["integrations"] == {
        "unknown": 1, "healthy": 0, "degraded": 0, "unhealthy": 0,
    }  # fmt: skip
    with world.engine.begin() as conn:
        assert store.prune_orphans(conn) == 1
    world.call("PATCH", path, json={"health_check": check_})
    assert health(world, made["id"])["status"] == "unknown"
    check(world)
    assert health(world, made["id"])["status"] == "healthy"
    with world.engine.begin() as conn:
        assert store.prune_orphans(conn) == 0


@pytest.mark.parametrize("why", ["needs_reauth", "secret_unreadable"])
def test_a_service_that_cannot_be_called_for_want_of_credentials_is_not_well(
    world: World, provider: Provider, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    made = world.create(
        provider.url,
        health_check={**CHECK, "unhealthy_after": 1},
        auth={"mode": "bearer", "token": "some-long-token"},
    )
    check(world)
    assert health(world, made["id"])["status"] == "healthy"
    if why == "secret_unreadable":
        world.sql("UPDATE hub.secret SET ciphertext = 'x'")
        said = "cannot be read"
    else:
        said = "A person must connect it again."
        stopped = Stopped(State.HELD, why, said)
        monkeypatch.setattr(chain, "BEFORE", (("authenticate", lambda *_: stopped),))
    check(world)
    down = health(world, made["id"])
    assert (down["status"], down["consecutive_failures"]) == ("unhealthy", 1)
    assert said in down["last_error"]
    (last, _) = down["last_checks"]
    assert (last["state"], last["ok"], last["error_class"]) == ("done", False, "unauthorized")
    assert len(provider.calls) == 1
