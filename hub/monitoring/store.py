"""Every query of monitoring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, TextClause, text

from hub.core.ids import new_uuid
from hub.db.ledger import Ledger
from hub.integrations.metrics import BOUNDS_MS, column_of
from hub.monitoring.health import Health, Status

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

CHECK_RUNS = Ledger("check_run", columns=("integration_id", "scheduled_for"))


# -- starting checks --------------------------------------------------------------------------------------------------


def count_due(conn: Connection, *, limit: int) -> int:
    """How many checks are due, counted up to a limit. Served by integration_next_check_idx."""
    return (
        conn.scalar(
            text(
                "SELECT count(*) FROM (SELECT 1 FROM hub.integration"
                " WHERE next_check_at IS NOT NULL AND next_check_at <= now() LIMIT :limit) due"
            ),
            {"limit": limit},
        )
        or 0
    )


def start_due(conn: Connection, ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """Start up to `len(ids)` due checks in one statement: moves their next time on and writes their runs.

    Missed times are skipped, and the rhythm is kept: 12:00:10 every minute stays at second 10 after an outage. An
    integration whose last check is still under way gets no second one. Two callers share the work between them.
    Served by integration_next_check_idx and check_run_live_idx.

    Returns:
        The ids of the runs that were written.
    """
    rows = conn.execute(
        text("""
                WITH due AS (
                    SELECT id, tenant_id, next_check_at,
                           CAST(health_check ->> 'interval_seconds' AS float8) AS every
                      FROM hub.integration
                     WHERE next_check_at IS NOT NULL AND next_check_at <= now()
                     ORDER BY next_check_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
                ), moved AS (
                    UPDATE hub.integration i
                       SET next_check_at = due.next_check_at + make_interval(secs => due.every
                           * (floor(extract(epoch FROM now() - due.next_check_at)::float8 / due.every) + 1))
                      FROM due WHERE i.id = due.id
                    RETURNING i.id, i.tenant_id, due.next_check_at AS scheduled_for
                ), numbered AS (
                    SELECT *, row_number() OVER () AS n FROM moved
                     WHERE NOT EXISTS (SELECT 1 FROM hub.check_run c WHERE c.integration_id = moved.id
                                          AND c.state IN ('due', 'leased'))
                )
                INSERT INTO hub.check_run (id, tenant_id, integration_id, scheduled_for)
                SELECT (CAST(:ids AS uuid[]))[n], tenant_id, id, scheduled_for FROM numbered
                RETURNING id"""),
        {"limit": len(ids), "ids": list(ids)},
    )
    return [row.id for row in rows]


# -- recording checks -------------------------------------------------------------------------------------------------

RESULT_FIELDS = ("id", "ok", "status", "latency_ms", "error_class", "message")
_RESULTS: TextClause = text(
    "UPDATE hub.check_run t SET ok = r.ok, status = r.status, latency_ms = r.latency_ms,"
    " error_class = r.error_class, message = r.message"
    " FROM unnest(CAST(:id AS uuid[]), CAST(:ok AS bool[]), CAST(:status AS int[]), CAST(:latency_ms AS real[]),"
    " CAST(:error_class AS text[]), CAST(:message AS text[]))"
    " AS r (id, ok, status, latency_ms, error_class, message)"
    " WHERE t.id = r.id AND t.id BETWEEN :low AND :high"
)


def write_results(conn: Connection, results: Sequence[Mapping[str, Any]]) -> None:
    """Write verdicts, in the transaction that completed the rows. Served by check_run_pkey.

    Args:
        conn: a connection inside a transaction.
        results: at least one; each with `RESULT_FIELDS`.
    """
    columns: dict[str, Any] = {name: [result[name] for result in results] for name in RESULT_FIELDS}
    conn.execute(_RESULTS, {**columns, "low": min(columns["id"]), "high": max(columns["id"])})


def lock_health(conn: Connection, integration_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Health]:
    """The present health of integrations, locked until the transaction ends. Served by integration_health_pkey."""
    rows = conn.execute(
        text(
            "SELECT * FROM hub.integration_health WHERE integration_id = ANY(CAST(:ids AS uuid[]))"
            " ORDER BY integration_id FOR UPDATE"
        ),
        {"ids": list(integration_ids)},
    )
    return {row.integration_id: _health(row) for row in rows}


def write_health(conn: Connection, health: Mapping[tuple[uuid.UUID, uuid.UUID], Health]) -> None:
    """Write the health of integrations, by (tenant id, integration id). Served by integration_health_pkey."""
    ordered = sorted(health.items(), key=lambda item: item[0][1])
    conn.execute(
        text(
            "INSERT INTO hub.integration_health (tenant_id, integration_id, status, since, last_check_at,"
            " last_latency_ms, consecutive_failures, last_error)"
            " SELECT * FROM unnest(CAST(:tenants AS uuid[]), CAST(:ids AS uuid[]), CAST(:statuses AS text[]),"
            " CAST(:since AS timestamptz[]), CAST(:checked AS timestamptz[]), CAST(:latency AS real[]),"
            " CAST(:failures AS int[]), CAST(:errors AS text[]))"
            " ON CONFLICT (integration_id) DO UPDATE SET status = excluded.status, since = excluded.since,"
            " last_check_at = excluded.last_check_at, last_latency_ms = excluded.last_latency_ms,"
            " consecutive_failures = excluded.consecutive_failures, last_error = excluded.last_error"
        ),
        {
            "tenants": [key[0] for key, _ in ordered],
            "ids": [key[1] for key, _ in ordered],
            "statuses": [one.status.value for _, one in ordered],
            "since": [one.since for _, one in ordered],
            "checked": [one.last_check_at for _, one in ordered],
            "latency": [one.last_latency_ms for _, one in ordered],
            "failures": [one.consecutive_failures for _, one in ordered],
            "errors": [one.last_error for _, one in ordered],
        },
    )


def insert_changes(
    conn: Connection, changes: Sequence[tuple[uuid.UUID, uuid.UUID, Status, Status, datetime, str]]
) -> None:
    """Record changes of health: tenant id, integration id, from, to, when, why."""
    conn.execute(
        text(
            "INSERT INTO hub.health_change (id, tenant_id, integration_id, from_status, to_status, at, reason)"
            " SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:tenants AS uuid[]), CAST(:integrations AS uuid[]),"
            " CAST(:before AS text[]), CAST(:after AS text[]), CAST(:at AS timestamptz[]), CAST(:reasons AS text[]))"
        ),
        {
            "ids": [new_uuid() for _ in changes],
            "tenants": [change[0] for change in changes],
            "integrations": [change[1] for change in changes],
            "before": [change[2].value for change in changes],
            "after": [change[3].value for change in changes],
            "at": [change[4] for change in changes],
            "reasons": [change[5] for change in changes],
        },
    )


# -- reading ----------------------------------------------------------------------------------------------------------


def find_health(conn: Connection, tenant_id: uuid.UUID, integration_id: uuid.UUID) -> Health | None:
    """The health of an integration; None before its first check. Served by integration_health_pkey."""
    row = conn.execute(
        text("SELECT * FROM hub.integration_health WHERE integration_id = :id AND tenant_id = :tenant"),
        {"id": integration_id, "tenant": tenant_id},
    ).one_or_none()
    return None if row is None else _health(row)


def last_checks(
    conn: Connection, tenant_id: uuid.UUID, integration_id: uuid.UUID, *, limit: int
) -> Sequence[Row[Any]]:
    """The newest checks of an integration. Served by check_run_integration_id_id_idx."""
    return conn.execute(
        text(
            "SELECT id, scheduled_for, state, ok, status, latency_ms, error_class, message FROM hub.check_run"
            " WHERE integration_id = :id AND tenant_id = :tenant ORDER BY id DESC LIMIT :limit"
        ),
        {"id": integration_id, "tenant": tenant_id, "limit": limit},
    ).all()


def list_changes(
    conn: Connection, tenant_id: uuid.UUID, integration_id: uuid.UUID, *, after: uuid.UUID | None, limit: int
) -> Sequence[Row[Any]]:
    """Changes of health, newest first. Served by health_change_integration_id_id_idx."""
    return conn.execute(
        text(
            "SELECT id, from_status, to_status, at, reason FROM hub.health_change"
            " WHERE integration_id = :id AND tenant_id = :tenant AND (CAST(:after AS uuid) IS NULL OR id < :after)"
            " ORDER BY id DESC LIMIT :limit"
        ),
        {"id": integration_id, "tenant": tenant_id, "after": after, "limit": limit},
    ).all()


_SUMS = ", ".join(
    f"coalesce(sum(m.{name}), 0)::{kind} AS {name}"
    for name, kind in (
        ("calls", "bigint"),
        ("failed", "bigint"),
        ("latency_ms_sum", "float8"),
        ("bytes", "bigint"),
        *((column_of(bound), "bigint") for bound in BOUNDS_MS),
    )
)
_WINDOWS = (
    f"SELECT w.seconds, m.source, extract(epoch FROM now() - w.since)::float8 AS span, {_SUMS}"  # noqa: S608 - our own column names
    " FROM (SELECT s AS seconds, date_trunc('minute', now() - make_interval(secs => s)) AS since"
    " FROM unnest(CAST(:windows AS int[])) AS s) w"
    " JOIN hub.integration_metric m ON m.bucket >= w.since AND m.bucket >= :floor AND {scope}"
    " GROUP BY w.seconds, w.since, m.source"
)
_OF_INTEGRATION: TextClause = text(
    _WINDOWS.format(scope="m.integration_id = :integration AND m.tenant_id = :tenant")
)
_OF_TENANT: TextClause = text(_WINDOWS.format(scope="m.tenant_id = :tenant"))


def read_windows(
    conn: Connection,
    tenant_id: uuid.UUID,
    integration_id: uuid.UUID | None,
    *,
    windows: Sequence[int],
    floor: datetime,
) -> Sequence[Row[Any]]:
    """Counters summed up over windows that end now, by source.

    Served by integration_metric_pkey for one integration, by integration_metric_tenant_id_bucket_idx for a tenant.

    Args:
        conn: a connection.
        tenant_id: whose.
        integration_id: of which integration; None is all of them.
        windows: lengths, seconds.
        floor: a time before the longest window, so that the index's range is known before the join.
    """
    given = {"tenant": tenant_id, "windows": list(windows), "floor": floor}
    if integration_id is None:
        return conn.execute(_OF_TENANT, given).all()
    return conn.execute(_OF_INTEGRATION, {**given, "integration": integration_id}).all()


def count_by_health(conn: Connection, tenant_id: uuid.UUID) -> dict[str, int]:
    """How many of a tenant's integrations are how; what is not checked is unknown.

    Served by integration_tenant_id_id_idx.
    """
    rows = conn.execute(
        text(
            "SELECT coalesce(h.status, 'unknown') AS status, count(*) AS n FROM hub.integration i"
            " LEFT JOIN hub.integration_health h ON h.integration_id = i.id"
            " AND jsonb_typeof(i.health_check) = 'object'"
            " WHERE i.tenant_id = :tenant GROUP BY 1"
        ),
        {"tenant": tenant_id},
    )
    return {row.status: row.n for row in rows}


def count_live_executions(conn: Connection, tenant_id: uuid.UUID) -> dict[str, int]:
    """A tenant's executions that are not finished, by state. Served by the partial indexes of live states."""
    rows = conn.execute(
        text(
            "SELECT state, count(*) AS n FROM hub.execution WHERE tenant_id = :tenant AND state = 'due' GROUP BY state"
            " UNION ALL SELECT state, count(*) FROM hub.execution"
            " WHERE tenant_id = :tenant AND state = 'leased' GROUP BY state"
            " UNION ALL SELECT state, count(*) FROM hub.execution"
            " WHERE tenant_id = :tenant AND state = 'held' GROUP BY state"
        ),
        {"tenant": tenant_id},
    )
    return {row.state: row.n for row in rows}


# -- retention --------------------------------------------------------------------------------------------------------


def prune_metrics(conn: Connection, older_than: datetime) -> int:
    """Delete counters of minutes before a moment. Served by integration_metric_bucket_idx."""
    return conn.execute(
        text("DELETE FROM hub.integration_metric WHERE bucket < :moment"), {"moment": older_than}
    ).rowcount


def prune_changes(conn: Connection, older_than: uuid.UUID) -> int:
    """Delete changes of health that were recorded before an id's moment. Served by health_change_pkey."""
    return conn.execute(text("DELETE FROM hub.health_change WHERE id < :id"), {"id": older_than}).rowcount


def prune_orphans(conn: Connection) -> int:
    """Delete the health of integrations that are gone, or not checked any more. Reads a row for each integration."""
    return conn.execute(
        text(
            "DELETE FROM hub.integration_health h"
            " WHERE NOT EXISTS (SELECT 1 FROM hub.integration i WHERE i.id = h.integration_id"
            " AND jsonb_typeof(i.health_check) = 'object')"
        )
    ).rowcount


def _health(row: Row[Any]) -> Health:
    return Health(
        status=Status(row.status),
        since=row.since,
        last_check_at=row.last_check_at,
        last_latency_ms=row.last_latency_ms,
        consecutive_failures=row.consecutive_failures,
        last_error=row.last_error,
    )
