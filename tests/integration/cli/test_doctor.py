from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, text

from hub.core.ids import Kind, new_uuid, parse_id
from hub.core.settings import get_settings
from hub.queue import store
from hub.queue.contracts import Queue
from hub.vault.keyring import generate_key
from hub.webhooks.store import DELIVERIES
from tests.integration.cli.conftest import Ended, Hub
from tests.integration.client.served import Served
from tests.integration.db.lane_rows import enter, make_lanes


@pytest.fixture
def healthy(api: Served, engine: Engine) -> Served:
    """A hub whose workers and beat have just written that they live."""
    with engine.begin() as conn:
        queues = ",".join(queue.value for queue in Queue)
        store.beat_heart(conn, "all@host", queues, 1, datetime.now(UTC))
        store.take_lead(conn, "beat", "host:1", 60)
    return api


def levels(ended: Ended) -> dict[str, str]:
    return {finding["part"]: finding["level"] for finding in ended.json["findings"]}


def finding(ended: Ended, part: str) -> Any:
    return next(one for one in ended.json["findings"] if one["part"] == part)


def test_a_healthy_hub_passes(hub: Hub, healthy: Served) -> None:
    ended = hub("doctor", "--json")
    assert ended.code == 0, ended.out
    assert ended.json["ok"] is True
    assert set(levels(ended).values()) == {"ok"}, ended.out
    parts = {
        "database",
        "clock",
        "migrations",
        "partitions",
        "keys",
        "beat",
        "redis",
        "broker",
        "egress",
        "api",
    }
    assert parts <= set(levels(ended))
    table = hub("doctor")
    assert (table.code, "partitions" in table.out) == (0, True)


def test_missing_workers_and_beat_fail_with_advice(hub: Hub, api: Served) -> None:
    ended = hub("doctor", "--json")
    assert (ended.code, ended.json["ok"]) == (1, False)
    failed = {part for part, level in levels(ended).items() if level == "fail"}
    assert failed == {"beat", *(f"workers of {queue.value}" for queue in Queue)}
    assert "celery -A workers.app worker -Q hub.deliver" in finding(ended, "workers of hub.deliver")["advice"]


def test_troubles_in_the_tables_are_warned_of(hub: Hub, healthy: Served, engine: Engine) -> None:
    healthy.client.publish_many([{"type": "a", "data": i} for i in range(3)])
    with engine.begin() as conn:
        conn.execute(text("UPDATE hub.outbox SET due_at = now() - interval '2 minutes'"))
        (lane,) = make_lanes(conn, 1, tenant=new_uuid())
        enter(conn, lane, 1, tenant=new_uuid())
    for _ in range(3):
        with engine.begin() as conn:
            assert len(DELIVERIES.claim(conn, owner="anna", limit=1, lease=60)) == 1
            conn.execute(text("UPDATE hub.delivery SET lease_until = now() - interval '1 second'"))
            conn.execute(text("UPDATE hub.delivery_lease SET until = now() - interval '1 second'"))
        with engine.begin() as conn:
            DELIVERIES.lapse(conn)
    with engine.begin() as conn:
        store.record_rejected(conn, new_uuid(), task="x", queue="y", reason="z", headers="{}", body="")
    ended = hub("doctor", "--json")
    assert ended.code == 0
    warned = {part for part, level in levels(ended).items() if level == "warn"}
    assert warned == {"backlog", "quarantine", "rejected messages"}
    assert finding(ended, "quarantine")["seen"] == "1 of delivery"
    assert "message: 3 due" in finding(ended, "backlog")["seen"]


def test_what_the_hub_cannot_do_by_itself_is_warned_of(hub: Hub, healthy: Served, engine: Engine) -> None:
    client, key = healthy.client, healthy.new_integration()
    schedule = client.create_schedule(key, "nightly", "request", input={"path": "/"}, every_seconds=60)["id"]
    soon = client.create_schedule(key, "soon", "request", input={"path": "/"}, every_seconds=60)["id"]
    flow = client.create_flow("paid", ["*"], key, "get_user")["id"]
    client.create_flow("paused", ["*"], key, "get_user", paused=True)
    client.update_integration(key, status="inactive")
    uuid = parse_id(Kind.INTEGRATION, key)
    with engine.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO hub.integration_grant (integration_id, tenant_id, state)"
                " SELECT id, tenant_id, 'needs_reauth' FROM hub.integration WHERE id = :id"
            ),
            {"id": uuid},
        )
        late = text(
            "UPDATE hub.execution_schedule SET next_at = now() - make_interval(secs => :s) WHERE id = :id"
        )
        conn.execute(late, [{"s": 600, "id": parse_id(Kind.SCHEDULE, schedule)},
                            {"s": 5, "id": parse_id(Kind.SCHEDULE, soon)}])  # fmt: skip
    ended = hub("doctor", "--json")
    assert ended.code == 0
    warned = {part for part, level in levels(ended).items() if level == "warn"}
    assert warned == {"grants", "schedules", "flows"}
    assert finding(ended, "grants")["seen"] == f"a person must connect {key}"
    assert finding(ended, "schedules")["seen"] == f"up to 600 s late: {schedule}"
    assert finding(ended, "flows")["seen"] == f"lead to an inactive integration: {flow} to {key}"


def test_missing_partitions_are_told(hub: Hub, healthy: Served, engine: Engine) -> None:
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    with engine.begin() as conn:
        conn.execute(text(f"DROP TABLE hub.delivery_p{tomorrow:%Y%m%d}"))
    ended = hub("doctor", "--json")
    assert (ended.code, levels(ended)["partitions"]) == (0, "warn")
    assert finding(ended, "partitions")["seen"] == f"delivery: no {tomorrow}"


def test_messages_that_wait_are_counted(hub: Hub, healthy: Served, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.lpush("hub:hub.deliver", *["x"] * 7)
    assert finding(hub("doctor", "--json"), "broker")["seen"] == "hub.deliver 7"


def test_an_unmigrated_database_fails_and_nothing_more_is_asked(
    hub: Hub, healthy: Served, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_DATABASE_URL", empty_database_url)
    ended = hub("doctor", "--json")
    assert (ended.code, finding(ended, "migrations")["advice"]) == (1, "Run `hub migrate`.")
    assert "beat" not in levels(ended)


def test_a_key_that_does_not_fit_fails(hub: Hub, healthy: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def other(count: int) -> bytes:
        return bytes((7 * n * n + 13) % 251 for n in range(count))

    monkeypatch.setenv("HUB_MASTER_KEYS", generate_key(other))
    ended = hub("doctor", "--json")
    assert (ended.code, levels(ended)["keys"]) == (1, "fail")


def test_each_part_that_is_away_fails_by_itself_without_its_password(
    hub: Hub, healthy: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_DATABASE_URL", "postgresql://hub:canary@127.0.0.1:9/hub")
    monkeypatch.setenv("HUB_REDIS_URL", "redis://:canary@127.0.0.1:9/0")
    monkeypatch.setenv("HUB_BROKER_URL", "redis://:canary@127.0.0.1:9/1")
    monkeypatch.setenv("HUB_URL", "http://127.0.0.1:9")
    ended = hub("doctor", "--json")
    assert ended.code == 1
    assert levels(ended) == {
        "database": "fail",
        "redis": "fail",
        "broker": "fail",
        "egress": "ok",
        "api": "fail",
    }
    assert "canary" not in ended.out + ended.err
    assert all(one["advice"] for one in ended.json["findings"] if one["level"] == "fail")


def test_nothing_configured_is_told_part_by_part(hub: Hub) -> None:
    ended = hub("doctor", "--json")
    assert ended.code == 1
    assert finding(ended, "database")["seen"] == "HUB_DATABASE_URL is not set"
    assert finding(ended, "redis")["seen"] == "HUB_REDIS_URL is not set"


def test_the_check_of_the_keys_adopts_no_empty_database(
    hub: Hub, database_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch, hub_environment: None
) -> None:
    assert get_settings().database_url is not None
    hub("doctor", "--json")
    with engine.connect() as conn:
        assert conn.execute(text("SELECT count(*) FROM hub.vault_canary")).scalar_one() == 0
