"""Every query of the statistics of endpoints."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Connection, Row, text

from hub.webhooks.models import LATENCY_BOUNDS

if TYPE_CHECKING:
    from collections.abc import Sequence


class Minute(msgspec.Struct):
    """Attempts at one endpoint in one minute.

    Args:
        bucket: its first second, Unix time.
        latencies: how many fell into each slot of the histogram; not cumulative.
    """

    endpoint_id: uuid.UUID
    tenant_id: uuid.UUID
    bucket: int
    succeeded: int = 0
    failed: int = 0
    latency_sum_ms: float = 0.0
    latencies: list[int] = msgspec.field(default_factory=lambda: [0] * len(LATENCY_BOUNDS))


class Health(msgspec.Struct):
    """What became known of one endpoint. Times are Unix seconds; 0: none."""

    endpoint_id: uuid.UUID
    tenant_id: uuid.UUID
    last_success: float = 0.0
    last_failure: float = 0.0
    failed_messages: int = 0


_COLUMNS = ", ".join(f"le_{bound}" for bound in LATENCY_BOUNDS)
_VALUES = ", ".join(f"(latencies ->> {n})::int" for n in range(len(LATENCY_BOUNDS)))
_SUMS = ", ".join(f"le_{bound} = m.le_{bound} + excluded.le_{bound}" for bound in LATENCY_BOUNDS)
_ADD_MINUTES = text(  # the column names are made from numbers of ours
    "INSERT INTO hub.endpoint_metric AS m (endpoint_id, bucket, tenant_id, succeeded, failed, latency_sum_ms,"
    f" {_COLUMNS})"
    f" SELECT endpoint_id, to_timestamp(bucket), tenant_id, succeeded, failed, latency_sum_ms, {_VALUES}"
    " FROM json_to_recordset(CAST(:rows AS json)) AS r(endpoint_id uuid, bucket float8, tenant_id uuid,"
    " succeeded int, failed int, latency_sum_ms real, latencies json) ORDER BY endpoint_id, bucket"
    " ON CONFLICT (endpoint_id, bucket) DO UPDATE SET succeeded = m.succeeded + excluded.succeeded,"
    f" failed = m.failed + excluded.failed, latency_sum_ms = m.latency_sum_ms + excluded.latency_sum_ms, {_SUMS}"
)


def add_minutes(conn: Connection, rows: Sequence[Minute]) -> None:
    """Add counts. Served by endpoint_metric_pkey; rows in one order, so that two workers cannot lock each other."""
    conn.execute(_ADD_MINUTES, {"rows": msgspec.json.encode(rows).decode()})


def add_health(conn: Connection, rows: Sequence[Health]) -> None:
    """Add what became known of endpoints. Served by endpoint_health_pkey; rows in one order."""
    conn.execute(
        text(
            "INSERT INTO hub.endpoint_health AS h (endpoint_id, tenant_id, last_success_at, last_failure_at,"
            " failing_since, failed_messages)"
            " SELECT endpoint_id, tenant_id, to_timestamp(nullif(last_success, 0)),"
            " to_timestamp(nullif(last_failure, 0)),"
            " CASE WHEN last_failure > last_success THEN to_timestamp(last_failure) END,"
            " CASE WHEN last_failure > last_success THEN failed_messages ELSE 0 END"
            " FROM json_to_recordset(CAST(:rows AS json)) AS r(endpoint_id uuid, tenant_id uuid, last_success float8,"
            " last_failure float8, failed_messages int) ORDER BY endpoint_id"
            " ON CONFLICT (endpoint_id) DO UPDATE SET"
            " last_success_at = greatest(h.last_success_at, excluded.last_success_at),"
            " last_failure_at = greatest(h.last_failure_at, excluded.last_failure_at),"
            # A success since the last write ends the series of failures; a later failure begins a new one.
            " failing_since = CASE WHEN excluded.last_success_at IS NULL THEN"
            "   coalesce(h.failing_since, excluded.failing_since) ELSE excluded.failing_since END,"
            " failed_messages = CASE WHEN excluded.last_success_at IS NULL THEN"
            "   h.failed_messages + excluded.failed_messages ELSE excluded.failed_messages END,"
            " warned = CASE WHEN excluded.last_success_at IS NULL THEN h.warned ELSE 0 END"
        ),
        {"rows": msgspec.json.encode(rows).decode()},
    )


def list_failing(conn: Connection, *, older_than: float, messages: int) -> Sequence[Row[Any]]:
    """Active endpoints without a success for long, locked until the transaction ends.

    Served by endpoint_health_failing_since_idx.

    Args:
        conn: a connection.
        older_than: days since the first failure.
        messages: how many have failed since, at least.
    """
    return conn.execute(
        text(
            "SELECT h.*, e.name, e.kind FROM hub.endpoint_health h JOIN hub.endpoint e ON e.id = h.endpoint_id"
            " WHERE h.failing_since < now() - make_interval(secs => :seconds) AND h.failed_messages >= :messages"
            " AND e.status = 'active' ORDER BY h.endpoint_id LIMIT 1000 FOR UPDATE OF h SKIP LOCKED"
        ),
        {"seconds": older_than * 86_400, "messages": messages},
    ).all()


def mark_warned(conn: Connection, endpoint_id: uuid.UUID, percent: int) -> None:
    """An endpoint's tenant was told. Served by endpoint_health_pkey."""
    conn.execute(
        text("UPDATE hub.endpoint_health SET warned = :percent WHERE endpoint_id = :id"),
        {"percent": percent, "id": endpoint_id},
    )


def forget_health(conn: Connection, endpoint_id: uuid.UUID) -> None:
    """An endpoint begins anew: it was changed or enabled again. Served by endpoint_health_pkey."""
    conn.execute(
        text(
            "UPDATE hub.endpoint_health SET failing_since = NULL, failed_messages = 0, warned = 0"
            " WHERE endpoint_id = :id"
        ),
        {"id": endpoint_id},
    )
