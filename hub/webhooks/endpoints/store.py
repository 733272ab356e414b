"""Every query about endpoints that people ask. They take the tenant's scope; pruning serves all tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, Row, delete, insert, select, text, update

from hub.core.ids import Kind
from hub.db.tenant_rows import change_row, find_row, newest_first
from hub.webhooks.models import LATENCY_BOUNDS, endpoint, endpoint_health
from hub.webhooks.store import DELIVERIES, ENDPOINT_DELETED

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Sequence
    from datetime import datetime

#: Counting what waits stops here.
MAX_COUNTED = 10_000


class Lane(NamedTuple):
    """What holds an endpoint's deliveries back; times are None when there is no such moment."""

    hold: str | None
    hold_until: datetime | None
    probing: bool


_NO_LANE = Lane(None, None, probing=False)


def insert_endpoint(conn: Connection, values: dict[str, Any]) -> Row[Any]:
    """Write an endpoint and return it."""
    return conn.execute(insert(endpoint).values(values).returning(endpoint)).one()


def find_endpoint(
    conn: Connection, tenant_id: uuid.UUID, endpoint_id: uuid.UUID, *, lock: bool = False
) -> Row[Any]:
    """One endpoint of the tenant. Served by endpoint_pkey.

    Raises:
        NotFound: the tenant has no such endpoint.
    """
    return find_row(conn, endpoint, tenant_id, endpoint_id, Kind.ENDPOINT, lock=lock)


def list_endpoints(
    conn: Connection, tenant_id: uuid.UUID, *, after: uuid.UUID | None, limit: int
) -> Sequence[Row[Any]]:
    """The tenant's endpoints, newest first. Served by endpoint_tenant_id_id_idx."""
    own = select(endpoint).where(endpoint.c.tenant_id == tenant_id)
    return conn.execute(newest_first(own, endpoint.c.id, after=after, limit=limit)).all()


def update_endpoint(
    conn: Connection, tenant_id: uuid.UUID, endpoint_id: uuid.UUID, values: dict[str, Any]
) -> Row[Any]:
    """Change an endpoint and return it; its version goes up. Served by endpoint_pkey."""
    return change_row(conn, endpoint, tenant_id, endpoint_id, values)


def delete_endpoint(conn: Connection, tenant_id: uuid.UUID, endpoint_id: uuid.UUID) -> None:
    """Remove an endpoint; the sweep cancels what waits for it, history stays. Served by primary keys."""
    conn.execute(delete(endpoint).where(endpoint.c.id == endpoint_id, endpoint.c.tenant_id == tenant_id))
    conn.execute(
        delete(endpoint_health).where(
            endpoint_health.c.endpoint_id == endpoint_id, endpoint_health.c.tenant_id == tenant_id
        )
    )
    DELIVERIES.discard(conn, endpoint_id, ENDPOINT_DELETED)


def find_keyed(conn: Connection, endpoint_id: uuid.UUID) -> Row[Any] | None:
    """Any tenant's endpoint with an ed25519 key, for whoever receives from it. Served by endpoint_pkey."""
    return conn.execute(
        select(endpoint).where(endpoint.c.id == endpoint_id, endpoint.c.key_id.is_not(None))
    ).one_or_none()


# -- what waits -------------------------------------------------------------------------------------------------------


def load_lanes(conn: Connection, tenant_id: uuid.UUID, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Lane]:
    """The lanes of endpoints of the tenant, by endpoint. Served by delivery_lane_pkey."""
    rows = conn.execute(
        text(
            "SELECT endpoint_id, hold, CASE WHEN isfinite(hold_until) THEN hold_until END AS hold_until,"
            " hold IS NOT NULL AND hold_until <= now() AS probing"
            " FROM hub.delivery_lane WHERE endpoint_id = ANY (CAST(:ids AS uuid[])) AND tenant_id = :tenant"
        ),
        {"ids": list(ids), "tenant": tenant_id},
    )
    found = {row.endpoint_id: Lane(row.hold, row.hold_until, row.probing) for row in rows}
    return {one: found.get(one, _NO_LANE) for one in ids}


def count_waiting(conn: Connection, endpoint_id: uuid.UUID) -> int:
    """Deliveries that are not sent yet, counted up to 10,000. Served by the primary keys of its line and its order."""
    counted: int = conn.execute(
        text(
            "SELECT least(:most, count(*)) FROM ("
            " (SELECT id FROM hub.delivery_waiting WHERE endpoint_id = :id LIMIT :most)"
            " UNION (SELECT id FROM hub.delivery_order WHERE endpoint_id = :id LIMIT :most)) AS waiting"
        ),
        {"id": endpoint_id, "most": MAX_COUNTED},
    ).scalar_one()
    return counted


def list_waiting(
    conn: Connection, endpoint_id: uuid.UUID, *, below: uuid.UUID, limit: int
) -> Sequence[uuid.UUID]:
    """Some of the deliveries that wait, made before an id's moment.

    Served by the primary keys of its line and its order.
    """
    return conn.scalars(
        text(
            "(SELECT id FROM hub.delivery_waiting WHERE endpoint_id = :id AND id < :below LIMIT :limit)"
            " UNION (SELECT id FROM hub.delivery_order WHERE endpoint_id = :id AND id < :below"
            "   AND EXISTS (SELECT 1 FROM hub.delivery d WHERE d.id = delivery_order.id AND d.state <> 'leased')"
            "   LIMIT :limit)"
        ),
        {"id": endpoint_id, "below": below, "limit": limit},
    ).all()


# -- how they do ------------------------------------------------------------------------------------------------------

_COLUMNS = ", ".join(f"coalesce(sum(le_{bound}), 0)::bigint AS le_{bound}" for bound in LATENCY_BOUNDS)
_SUM_METRICS = text(
    "SELECT coalesce(sum(succeeded), 0)::bigint AS succeeded, coalesce(sum(failed), 0)::bigint AS failed,"  # noqa: S608 - names are ours
    f" coalesce(sum(latency_sum_ms::float8), 0) AS latency_sum_ms, {_COLUMNS}"
    " FROM hub.endpoint_metric WHERE endpoint_id = :id AND tenant_id = :tenant AND bucket >= :since"
)


def sum_metrics(conn: Connection, tenant_id: uuid.UUID, endpoint_id: uuid.UUID, since: datetime) -> Row[Any]:
    """Attempts since a moment, summed up. Served by endpoint_metric_pkey."""
    return conn.execute(_SUM_METRICS, {"id": endpoint_id, "tenant": tenant_id, "since": since}).one()


def find_health(conn: Connection, tenant_id: uuid.UUID, endpoint_id: uuid.UUID) -> Row[Any] | None:
    """How an endpoint has been doing; None: nothing was sent to it yet. Served by endpoint_health_pkey."""
    return conn.execute(
        select(endpoint_health).where(
            endpoint_health.c.endpoint_id == endpoint_id, endpoint_health.c.tenant_id == tenant_id
        )
    ).one_or_none()


# -- pruning ----------------------------------------------------------------------------------------------------------


def lock_ended(conn: Connection, now: datetime, *, limit: int) -> Sequence[Row[Any]]:
    """Endpoints of which an older key has ended: `id, tenant_id, previous_secrets, previous_keys`.

    Served by endpoint_overlap_idx, which holds only endpoints amid a rotation.
    """
    return conn.execute(
        text(
            "SELECT id, tenant_id, previous_secrets, previous_keys FROM hub.endpoint"
            " WHERE (previous_secrets <> '[]' OR previous_keys <> '[]') AND EXISTS ("
            "   SELECT 1 FROM jsonb_array_elements(previous_secrets || previous_keys) AS old(one)"
            "    WHERE CAST(one ->> 'expires_at' AS timestamptz) <= :now)"
            " LIMIT :limit FOR UPDATE SKIP LOCKED"
        ),
        {"now": now, "limit": limit},
    ).all()


def keep_old(conn: Connection, endpoint_id: uuid.UUID, secrets: Sequence[Any], keys: Sequence[Any]) -> None:
    """Write the older keys that have not ended; no version goes up, since nobody signs differently by it.

    Served by endpoint_pkey.
    """
    conn.execute(
        update(endpoint)
        .where(endpoint.c.id == endpoint_id)
        .values(previous_secrets=secrets, previous_keys=keys)
    )


def prune_metrics(conn: Connection, older_than: datetime) -> int:
    """Delete counters of minutes before a moment. Served by endpoint_metric_bucket_idx."""
    return conn.execute(
        text("DELETE FROM hub.endpoint_metric WHERE bucket < :moment"), {"moment": older_than}
    ).rowcount
