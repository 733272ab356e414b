from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hub.core.ids import Kind, new_uuid, parse_id
from hub.db.partitions import PARTITIONED
from hub.monitoring.retention import prune
from tests.integration.integrations.provider import Provider
from tests.integration.integrations.world import World


def test_what_is_over_its_time_goes_and_the_rest_stays(world: World, provider: Provider) -> None:
    now = datetime.now(UTC)
    checked = world.create(provider.url, health_check={"path": "/health"})
    made = parse_id(Kind.INTEGRATION, checked["id"])
    days = world.services.settings.retention_days
    zeros = ", ".join(["0"] * 11)
    for at in (now, now - timedelta(days=days + 2)):
        old_id = new_uuid(int(at.timestamp() * 1000))
        world.sql(
            f"INSERT INTO hub.integration_metric VALUES (:t, :i, date_trunc('minute', CAST(:at AS timestamptz)), 'call', 1, 0, 1, 1, {zeros})",
            t=world.tenant_id, i=made, at=at,
        )  # fmt: skip
        world.sql(
            "INSERT INTO hub.health_change (id, tenant_id, integration_id, from_status, to_status, at)"
            " VALUES (:id, :t, :i, 'unknown', 'healthy', :at)",
            id=old_id, t=world.tenant_id, i=made, at=at,
        )  # fmt: skip
        world.sql(
            "INSERT INTO hub.idempotency_key (tenant_id, scope, key, body_hash, created_at)"
            " VALUES (:t, 's', :key, '\\x00', :at)",
            t=world.tenant_id, key=str(at), at=at,
        )  # fmt: skip
        world.sql(
            "INSERT INTO hub.tick (name, scheduled_for, owner, created_at) VALUES ('t', :at, 'o', :at)", at=at
        )
        world.sql(
            "INSERT INTO hub.rejected_message (id, reason, created_at) VALUES (:id, 'r', :at)",
            id=new_uuid(),
            at=at,
        )
        world.sql(
            "INSERT INTO hub.worker (name, queues, pid, started_at, seen_at) VALUES (:name, 'q', 1, :at, :at)",
            name=str(at), at=at,
        )  # fmt: skip
        world.sql(
            "INSERT INTO hub.integration_health (integration_id, tenant_id, status, since, last_check_at)"
            " VALUES (:i, :t, 'healthy', :at, :at)",
            i=made if at == now else new_uuid(), t=world.tenant_id, at=at,
        )  # fmt: skip
    with world.engine.begin() as conn:
        counts = prune(conn, world.services.settings, now)
    assert counts == {
        "partitions_made": 0,
        "idempotency_keys": 1,
        "incoming_keys": 0,
        "ticks": 1,
        "rejected_messages": 1,
        "workers": 1,
        "metrics": 1,
        "health_changes": 1,
        "health_of_unchecked": 1,
        "partitions_dropped": 0,
    }
    with world.engine.begin() as conn:
        later = prune(conn, world.services.settings, now + timedelta(days=2))
    assert later["partitions_made"] == 2 * len(PARTITIONED)
    assert later["metrics"] == 0
