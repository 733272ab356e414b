"""Pruning as a worker runs it: what of webhooks it deletes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

import workers.tasks
from hub.core.ids import new_uuid
from hub.core.secret import Secret
from hub.queue.app import get_app
from hub.queue.contracts import TaskName
from workers import context


@pytest.mark.usefixtures("hub_environment")
def test_ended_signing_keys_and_old_counters_of_endpoints_are_deleted(engine: Engine) -> None:
    tenant, endpoint = new_uuid(), new_uuid()
    vault = context.get_vault()
    now = datetime.now(UTC)
    with engine.begin() as conn:
        vault.check(conn)
        current, ended, live = (
            vault.put(conn, tenant, "endpoint", "signing_secret", Secret(f"whsec_{n}")) for n in range(3)
        )
        old = [
            f'{{"secret_id": "{key}", "expires_at": "{(now + timedelta(hours=hours)).isoformat()}"}}'
            for key, hours in ((ended, -1), (live, 1))
        ]
        conn.execute(
            text(
                "INSERT INTO hub.endpoint (id, tenant_id, name, url, event_types, secret_id, previous_secrets)"
                " VALUES (:id, :tenant, 'a', 'http://x/', '{*}', :secret, CAST(:old AS jsonb))"
            ),
            {"id": endpoint, "tenant": tenant, "secret": current, "old": f"[{', '.join(old)}]"},
        )
        for days in (0, 4000):
            conn.execute(
                text(
                    "INSERT INTO hub.endpoint_metric SELECT :id, CAST(:at AS timestamptz), :tenant, 1, 0, 1,"
                    " 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0"
                ),
                {"id": endpoint, "tenant": tenant, "at": now - timedelta(days=days)},
            )
    workers.tasks.load()
    task = get_app().tasks[TaskName.HISTORY_PRUNE.value]
    counts = task(payload={"name": "x", "scheduled_for": "2030-01-01T00:00:00+00:00"})
    assert (counts["ended_signing_keys"], counts["endpoint_metrics"]) == (1, 1)
    with engine.connect() as conn:
        assert set(conn.scalars(text("SELECT id FROM hub.secret"))) == {current, live}
        assert conn.scalar(text("SELECT jsonb_array_length(previous_secrets) FROM hub.endpoint")) == 1
