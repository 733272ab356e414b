"""What replays look through, and the few rows they write there. Everything takes the tenant's scope or its endpoints.

No statement reads more than a page: each goes through an index from where a scan stands, and its limits are in its
arguments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, Select, select, text

from hub.core.ids import children_of
from hub.db.lanes import BREAKER
from hub.webhooks.models import endpoint

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Sequence


def list_members(conn: Connection, tenant_id: uuid.UUID, endpoint_id: uuid.UUID | None) -> Sequence[Row[Any]]:
    """What decides which events endpoints take. Served by endpoint_tenant_id_id_idx."""
    wanted = (endpoint.c.id, endpoint.c.kind, endpoint.c.event_types, endpoint.c.labels, endpoint.c.filter)
    query: Select[Any] = select(*wanted).where(endpoint.c.tenant_id == tenant_id)
    if endpoint_id is not None:
        query = query.where(endpoint.c.id == endpoint_id)
    return conn.execute(query).all()


def page_of_deliveries(
    conn: Connection,
    tenant_id: uuid.UUID,
    endpoint_id: uuid.UUID,
    *,
    after: uuid.UUID,
    before: uuid.UUID,
    limit: int,
) -> Sequence[Row[Any]]:
    """`id, message_id, state, reason, waits` of an endpoint's deliveries, oldest first.

    `waits`: for a retry, later than now. What is for an endpoint that a person holds waits for that person instead.

    Served by delivery_endpoint_id_id_idx, and delivery_lane_pkey once; the bounds leave out the partitions of other
    days.
    """
    return conn.execute(
        text(
            "SELECT id, message_id, state, reason, state = 'due' AND due_at > now() AND EXISTS"
            " (SELECT 1 FROM hub.delivery_lane l WHERE l.endpoint_id = :endpoint"
            " AND (l.hold IS NULL OR l.hold = :breaker)) AS waits FROM hub.delivery"
            " WHERE endpoint_id = :endpoint AND id > :after AND id < :before AND tenant_id = :tenant"
            " ORDER BY id LIMIT :limit"
        ),
        {
            "tenant": tenant_id, "endpoint": endpoint_id, "after": after, "before": before, "limit": limit,
            "breaker": BREAKER,
        },
    ).all()  # fmt: skip


#: Of a message: `replayable` when it has been fanned out, and nothing forbids to send it now.
_EVENTS = (
    "SELECT m.id, m.type, coalesce(m.labels, '{}') AS labels, m.source, octet_length(m.data) AS size,"
    " NOT EXISTS (SELECT 1 FROM hub.outbox o WHERE o.message_id = m.id)"
    " AND coalesce(m.expires_at > now(), true)"
    " AND coalesce(m.reason NOT IN ('expired', 'cancelled', 'schema_invalid'), true) AS replayable"
    " FROM hub.message m"
)


def page_of_events(
    conn: Connection, tenant_id: uuid.UUID, *, after: uuid.UUID, before: uuid.UUID, limit: int
) -> Sequence[Row[Any]]:
    """`id, type, labels, source, size, replayable` of the tenant's events, oldest first.

    Served by message_tenant_id_id_idx and outbox_pkey; the bounds leave out the partitions of other days.
    """
    return conn.execute(
        text(
            f"{_EVENTS} WHERE m.tenant_id = :tenant AND m.id > :after AND m.id < :before ORDER BY m.id LIMIT :limit"
        ),
        {"tenant": tenant_id, "after": after, "before": before, "limit": limit},
    ).all()


def describe_events(
    conn: Connection, tenant_id: uuid.UUID, ids: Collection[uuid.UUID]
) -> dict[uuid.UUID, Row[Any]]:
    """The same of events by id. Served by message_pkey."""
    if not ids:
        return {}
    rows = conn.execute(
        text(
            f"{_EVENTS} WHERE m.id = ANY (CAST(:ids AS uuid[]))"
            " AND m.id BETWEEN CAST(:low AS uuid) AND CAST(:high AS uuid) AND m.tenant_id = :tenant"
        ),
        {"tenant": tenant_id, "ids": list(ids), "low": min(ids), "high": max(ids)},
    )
    return {row.id: row for row in rows}


def find_deliveries(
    conn: Connection, pairs: Sequence[tuple[uuid.UUID, uuid.UUID]]
) -> dict[tuple[uuid.UUID, uuid.UUID], Row[Any]]:
    """`id, state` of the deliveries of these events to these endpoints, by event and endpoint.

    One look-up in delivery_endpoint_id_id_idx for each: a delivery's id lies beside its event's.
    """
    if not pairs:
        return {}
    bounds = [children_of(message_id) for message_id, _ in pairs]
    rows = conn.execute(
        text(
            "SELECT p.message, p.endpoint, d.id, d.state FROM unnest(CAST(:messages AS uuid[]),"
            " CAST(:endpoints AS uuid[]), CAST(:lows AS uuid[]), CAST(:highs AS uuid[]))"
            " AS p(message, endpoint, low, high)"
            " CROSS JOIN LATERAL (SELECT id, state FROM hub.delivery WHERE endpoint_id = p.endpoint"
            " AND id BETWEEN p.low AND p.high AND message_id = p.message OFFSET 0) d"
        ),
        {
            "messages": [message_id for message_id, _ in pairs],
            "endpoints": [endpoint_id for _, endpoint_id in pairs],
            "lows": [low for low, _ in bounds],
            "highs": [high for _, high in bounds],
        },
    )
    return {(row.message, row.endpoint): row for row in rows}


def last_statuses(
    conn: Connection, ids: Sequence[uuid.UUID], *, since: uuid.UUID
) -> dict[uuid.UUID, int | None]:
    """What the last attempt at each delivery was answered with; None: no answer; absent: no attempt.

    One look-up in attempt_pkey for each delivery and day.

    Args:
        conn: a connection.
        ids: the deliveries.
        since: spares the partitions of the days before.
    """
    rows = conn.execute(
        text(
            "SELECT w.id, a.status FROM unnest(CAST(:ids AS uuid[])) AS w(id)"
            " CROSS JOIN LATERAL (SELECT status FROM hub.attempt WHERE work_id = w.id AND id > :since"
            " ORDER BY id DESC LIMIT 1) a"
        ),
        {"ids": list(ids), "since": since},
    )
    return {row.id: row.status for row in rows}


def lock_making(conn: Connection, tenant_id: uuid.UUID) -> None:
    """One transaction at a time makes deliveries that a tenant's events lack: two would make each twice."""
    conn.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"replay:{tenant_id}"}
    )


def clear_reasons(conn: Connection, ids: Collection[uuid.UUID]) -> None:
    """These events went nowhere, and now do. Served by message_pkey."""
    conn.execute(
        text(
            "UPDATE hub.message SET reason = NULL WHERE id = ANY (CAST(:ids AS uuid[]))"
            " AND id BETWEEN CAST(:low AS uuid) AND CAST(:high AS uuid) AND reason IS NOT NULL"
        ),
        {"ids": list(ids), "low": min(ids), "high": max(ids)},
    )
