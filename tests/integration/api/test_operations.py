from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import redis
import requests
from sqlalchemy import text

from hub.access import store
from hub.api.app import create_app
from hub.core.ids import new_uuid
from hub.core.settings import Settings, load_settings
from hub.db.engine import make_engine
from hub.vault.keyring import KeyRing, generate_key
from hub.vault.vault import Vault
from hub.web.services import Services
from hub.webhooks import store as webhooks
from tests.integration.api.conftest import RunningHub, serving, wait_for
from tests.integration.db.lane_rows import enter, make_lanes
from tests.support.servers import MASTER_KEY


def parts(url: str) -> tuple[int, dict[str, dict[str, object]]]:
    answer = requests.get(f"{url}/readyz", timeout=5)
    return answer.status_code, {part["name"]: part for part in answer.json()["parts"]}


def with_settings(services: Services, **changes: str) -> Services:
    assert services.settings.database_url is not None
    assert services.settings.redis_url is not None
    environment = {
        "HUB_DATABASE_URL": services.settings.database_url.get_secret_value(),
        "HUB_REDIS_URL": services.settings.redis_url.get_secret_value(),
        "HUB_MASTER_KEYS": MASTER_KEY,
        "HUB_API_PORT": "0",
    } | changes
    settings = load_settings(environment)
    return replace(services, settings=settings, vault=Vault(KeyRing.from_settings(settings)))


def test_a_healthy_hub_is_alive_and_ready_without_a_key(hub: RunningHub) -> None:
    assert hub.call("GET", "/healthz", key=None).json() == {"status": "alive"}
    status, found = parts(hub.url)
    assert status == 200
    assert {name: part["ok"] for name, part in found.items()} == {
        "database": True, "migrations": True, "vault": True, "redis": True,
    }  # fmt: skip


def test_without_redis_it_is_ready_and_says_so(services: Services) -> None:
    own = with_settings(services, HUB_REDIS_URL="redis://127.0.0.1:1")
    with serving(create_app(own), own.settings) as url:
        status, found = parts(url)
    assert status == 200
    assert found["redis"]["ok"] is False
    assert found["redis"]["needed"] is False


def test_a_database_that_is_not_migrated_is_not_ready(
    services: Services, empty_database_url: str, settings: Settings
) -> None:
    engine = make_engine(empty_database_url)
    own = replace(services, engine=engine)
    with serving(create_app(own), settings) as url:
        status, found = parts(url)
    engine.dispose()
    assert status == 503
    assert found["database"]["ok"] is True
    assert found["migrations"]["ok"] is False
    assert "hub migrate" in str(found["migrations"]["detail"])


def test_a_ring_that_does_not_open_the_database_is_not_ready(services: Services) -> None:
    with services.engine.begin() as conn:
        services.vault.check(conn)
    own = with_settings(services, HUB_MASTER_KEYS=generate_key(os.urandom))
    with serving(create_app(own), own.settings) as url:
        status, found = parts(url)
    assert status == 503
    assert found["vault"]["ok"] is False
    assert "does not belong to this database" in str(found["vault"]["detail"])


def test_a_database_that_hangs_is_not_ready_within_the_deadline(hub: RunningHub, database_url: str) -> None:
    """Another session holds the lock that the canary check needs."""
    with psycopg.connect(database_url) as blocker:
        blocker.execute("LOCK TABLE hub.vault_canary IN ACCESS EXCLUSIVE MODE")
        started = time.monotonic()
        status, found = parts(hub.url)
        assert 1.5 < time.monotonic() - started < 10
        assert status == 503
        assert "no answer within 2 s" in str(found["database"]["detail"])
        assert requests.get(f"{hub.url}/healthz", timeout=10).status_code == 200
    wait_for(lambda: parts(hub.url)[0] == 200, "readiness after the lock")


def test_requests_are_counted_by_route_template_and_not_by_path(hub: RunningHub) -> None:
    hub.call("GET", f"/v1/tenants/ten_{hub.tenant.id.hex}")
    hub.call("GET", "/v1/made-up-by-a-stranger")
    hub.call("POST", "/v1/events", json={"type": "a.b", "data": 1})
    metrics = hub.call("GET", "/metrics", key=None).text
    assert (
        'hub_http_request_seconds_count{method="GET",route="/v1/tenants/{tenant_id}",status="200"}' in metrics
    )
    assert 'route="/v1/events",status="202"' in metrics
    assert 'route="unmatched",status="404"' in metrics
    for secret in (hub.tenant.id.hex, "made-up", "acme", hub.admin_key):
        assert secret not in metrics


def test_the_depth_of_the_ledger_is_told_by_table_and_state(hub: RunningHub) -> None:
    tenant = hub.tenant.id
    with hub.services.engine.begin() as conn:
        webhooks.insert_messages(
            conn, [webhooks.NewMessage(new_uuid(), tenant, "a.b", "1", "http") for _ in range(2)]
        )
        conn.execute(text("UPDATE hub.outbox SET due_at = now() - interval '1 hour'"))
        waiting, leased, held = make_lanes(conn, 3, tenant=tenant)
        enter(conn, leased, 1, tenant=tenant)
    with hub.services.engine.begin() as conn:
        assert len(webhooks.DELIVERIES.claim(conn, owner="anna", limit=9, lease=60)) == 1
        enter(conn, waiting, 3, tenant=tenant)
        enter(conn, held, 5, tenant=tenant)
        webhooks.DELIVERIES.hold(conn, held, "endpoint_paused")
    metrics = hub.call("GET", "/metrics", key=None).text
    assert 'hub_ledger_rows{state="due",table="message"} 2.0' in metrics
    assert 'hub_ledger_rows{state="leased",table="delivery"} 1.0' in metrics
    assert 'hub_ledger_rows{state="due",table="delivery"} 3.0' in metrics
    assert "hub_ledger_readable 1.0" in metrics
    oldest = next(
        line
        for line in metrics.splitlines()
        if line.startswith('hub_ledger_oldest_due_seconds{table="message"}')
    )
    assert 3500 < float(oldest.split()[-1]) < 3700


def test_the_last_use_of_a_key_is_written_when_the_process_ends(services: Services, hub: RunningHub) -> None:
    token, key_id = hub.key()
    assert hub.call("GET", "/v1/me", key=token).status_code == 200
    app = create_app(services)
    with serving(app, services.settings):
        pass
    with services.engine.connect() as conn:
        row = next(row for row in store.list_keys(conn, hub.tenant.id) if row.id.hex == key_id)
    assert row.last_used_at is not None
    assert datetime.now(UTC) - row.last_used_at < timedelta(minutes=1)


def test_redis_is_only_asked(hub: RunningHub, redis_url: str) -> None:
    parts(hub.url)
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
