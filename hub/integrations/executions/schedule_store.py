"""Every query of schedules. Each takes the tenant, but for the start of what is due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, text

from hub.core.ids import Kind
from hub.db.states import QUARANTINED
from hub.db.tenant_rows import change_version, delete_row, find_row, insert_row, newest_first
from hub.integrations.executions.models import execution_schedule as schedule

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row


def insert_schedule(conn: Connection, values: Mapping[str, Any]) -> Row[Any]:
    """Write a schedule.

    Raises:
        Conflict: the tenant has one of this name (execution_schedule_tenant_id_name_key).
    """
    return insert_row(conn, schedule, values)


def get_schedule(conn: Connection, tenant_id: uuid.UUID, schedule_id: uuid.UUID) -> Row[Any]:
    """One schedule. Served by execution_schedule_pkey.

    Raises:
        NotFound: the tenant has no such schedule.
    """
    return find_row(conn, schedule, tenant_id, schedule_id, Kind.SCHEDULE)


def list_schedules(
    conn: Connection,
    tenant_id: uuid.UUID,
    *,
    after: uuid.UUID | None,
    limit: int,
    integration_id: uuid.UUID | None = None,
) -> Sequence[Row[Any]]:
    """Newest first. Served by execution_schedule_tenant_id_id_idx or execution_schedule_integration_id_idx."""
    query = select(schedule).where(schedule.c.tenant_id == tenant_id)
    if integration_id is not None:
        query = query.where(schedule.c.integration_id == integration_id)
    return conn.execute(newest_first(query, schedule.c.id, after=after, limit=limit)).all()


def update_schedule(
    conn: Connection,
    tenant_id: uuid.UUID,
    schedule_id: uuid.UUID,
    version: int,
    changes: Mapping[str, Any],
) -> Row[Any] | None:
    """Change one version of a schedule; None when it is not the present one. Served by execution_schedule_pkey.

    Raises:
        Conflict: the new name is taken.
    """
    return change_version(conn, schedule, tenant_id, schedule_id, version, changes)


def delete_schedule(conn: Connection, tenant_id: uuid.UUID, schedule_id: uuid.UUID) -> bool:
    """Delete a schedule; what it started stays. Served by execution_schedule_pkey."""
    return delete_row(conn, schedule, tenant_id, schedule_id)


def count_schedules(conn: Connection, tenant_id: uuid.UUID) -> int:
    """How many the tenant has; nobody else counts before the commit.

    Served by tenant_pkey and execution_schedule_tenant_id_id_idx.
    """
    conn.execute(text("SELECT 1 FROM hub.tenant WHERE id = :tenant FOR NO KEY UPDATE"), {"tenant": tenant_id})
    found = conn.scalar(select(func.count()).select_from(schedule).where(schedule.c.tenant_id == tenant_id))
    return int(found or 0)


_LOCK_DUE = text(
    "SELECT s.id, s.tenant_id, s.integration_id, s.operation, s.input::text AS input, s.cron, s.timezone,"
    " s.every_seconds, s.overlap, s.next_at, s.last_at, s.created_by, now() AS moment,"
    " EXISTS (SELECT 1 FROM hub.execution e"
    "   WHERE e.id = s.last_execution_id AND e.state IN ('due', 'leased', 'held')"
    # One that a person has to look at is over, as far as the clock is concerned.
    "   AND e.reason IS DISTINCT FROM :quarantined) AS running, i.access, k.roles"
    " FROM (SELECT *, sum(size) OVER (ORDER BY next_at, id) AS bytes FROM ("
    "   SELECT *, octet_length(input::text) AS size FROM hub.execution_schedule WHERE next_at <= now()"
    "   ORDER BY next_at LIMIT :limit FOR UPDATE SKIP LOCKED) q) s"
    " JOIN hub.integration i ON i.id = s.integration_id LEFT JOIN hub.api_key k ON k.id = s.created_by"
    " WHERE s.bytes <= :max_bytes OR s.bytes = s.size ORDER BY s.next_at, s.id"
)


def lock_due(conn: Connection, *, limit: int, max_bytes: int) -> Sequence[Row[Any]]:
    """Schedules whose moment has come; locked until the commit. The input is the JSON text that is stored.

    With them: whether the execution before has not finished, the integration's access rules, and the roles of the key
    that made the schedule. Served by execution_schedule_next_idx, and by the primary keys for each of them.

    Args:
        conn: a connection inside a transaction.
        limit: schedules at most.
        max_bytes: of inputs together; the first one comes in any case.
    """
    return conn.execute(_LOCK_DUE, {"limit": limit, "max_bytes": max_bytes, "quarantined": QUARANTINED}).all()


def move_on(
    conn: Connection,
    moved: Sequence[tuple[uuid.UUID, datetime | None, datetime | None, uuid.UUID | None]],
) -> None:
    """Note what was started: id, next moment, the moment that came, the execution (None: it was passed over)."""
    conn.execute(
        text(
            "UPDATE hub.execution_schedule s SET next_at = m.next_at, last_at = m.last_at,"
            " last_execution_id = coalesce(m.execution_id, s.last_execution_id)"
            " FROM unnest(CAST(:ids AS uuid[]), CAST(:nexts AS timestamptz[]), CAST(:lasts AS timestamptz[]),"
            " CAST(:executions AS uuid[])) AS m (id, next_at, last_at, execution_id) WHERE s.id = m.id"
        ),
        {
            "ids": [one[0] for one in moved],
            "nexts": [one[1] for one in moved],
            "lasts": [one[2] for one in moved],
            "executions": [one[3] for one in moved],
        },
    )
