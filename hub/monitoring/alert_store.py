"""The queries of alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import text

from hub.integrations.metrics import BOUNDS_MS, column_of

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row


class Standing(NamedTuple):
    """How an alert is."""

    firing: bool
    since: datetime
    value: float | None


def lock_alerting(conn: Connection) -> Sequence[Row[Any]]:
    """Active integrations with alerts, and how they are; of two reviews each has its own.

    `health` is null before the first check, and `unknown` without any.

    Served by integration_alerts_idx.
    """
    return conn.execute(
        text(
            "SELECT i.id, i.tenant_id, i.name, i.alerts,"
            " CASE WHEN jsonb_typeof(i.health_check) = 'object' THEN h.status ELSE 'unknown' END AS health"
            " FROM hub.integration i"
            " LEFT JOIN hub.integration_health h ON h.integration_id = i.id"
            " WHERE i.alerts <> '[]' AND i.status IN ('active', 'deprecated') ORDER BY i.id"
            " FOR NO KEY UPDATE OF i SKIP LOCKED"
        )
    ).all()


_SUMS = ", ".join(f"sum({column_of(bound)})::bigint AS {column_of(bound)}" for bound in BOUNDS_MS)


def read_calls(
    conn: Connection, ids: Sequence[uuid.UUID], minutes: int, now: datetime
) -> dict[uuid.UUID, Row[Any]]:
    """The calls of the last whole minutes and of the running one, by integration. Served by integration_metric_pkey."""
    rows = conn.execute(
        text(
            "SELECT integration_id, sum(calls)::bigint AS calls, sum(failed)::bigint AS failed,"  # noqa: S608 - our own column names
            f" sum(latency_ms_sum) AS latency_ms_sum, sum(bytes)::bigint AS bytes, {_SUMS}"
            " FROM hub.integration_metric WHERE integration_id = ANY (CAST(:ids AS uuid[])) AND source = 'call'"
            " AND bucket >= date_trunc('minute', CAST(:now AS timestamptz)) - make_interval(mins => :minutes)"
            " GROUP BY integration_id"
        ),
        {"ids": list(ids), "now": now, "minutes": minutes},
    )
    return {row.integration_id: row for row in rows}


def read_standing(conn: Connection, ids: Sequence[uuid.UUID]) -> dict[tuple[uuid.UUID, str], Standing]:
    """How the alerts of these integrations are. Served by integration_alert_pkey."""
    rows = conn.execute(
        text("SELECT * FROM hub.integration_alert WHERE integration_id = ANY (CAST(:ids AS uuid[]))"),
        {"ids": list(ids)},
    )
    return {(row.integration_id, row.name): Standing(row.firing, row.since, row.value) for row in rows}


def write_standing(conn: Connection, changed: Sequence[tuple[uuid.UUID, uuid.UUID, str, Standing]]) -> None:
    """Note what changed: integration, tenant, name, how it is now. Served by integration_alert_pkey."""
    if not changed:
        return
    conn.execute(
        text(
            "INSERT INTO hub.integration_alert (integration_id, tenant_id, name, firing, since, value)"
            " SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:tenants AS uuid[]), CAST(:names AS text[]),"
            " CAST(:firing AS bool[]), CAST(:since AS timestamptz[]), CAST(:values AS float8[]))"
            " ON CONFLICT (integration_id, name) DO UPDATE SET firing = excluded.firing, since = excluded.since,"
            " value = excluded.value"
        ),
        {
            "ids": [one[0] for one in changed],
            "tenants": [one[1] for one in changed],
            "names": [one[2] for one in changed],
            "firing": [one[3].firing for one in changed],
            "since": [one[3].since for one in changed],
            "values": [one[3].value for one in changed],
        },
    )


def forget_removed(conn: Connection) -> None:
    """Forget alerts that no definition has any more. Reads a row for each alert."""
    conn.execute(
        text(
            "DELETE FROM hub.integration_alert a WHERE NOT EXISTS (SELECT 1 FROM hub.integration i"
            " WHERE i.id = a.integration_id AND i.alerts @> jsonb_build_array(jsonb_build_object('name', a.name)))"
        )
    )
