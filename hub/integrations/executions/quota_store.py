"""The queries of quotas."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import text

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping
    from datetime import date

    from sqlalchemy import Connection


class Used(NamedTuple):
    """What was used of one integration."""

    day_calls: int = 0
    day_bytes: int = 0
    month_calls: int = 0
    month_bytes: int = 0


_ADD = text(
    "INSERT INTO hub.integration_usage AS u (integration_id, period, begins, calls, bytes)"
    " SELECT id, period, begins, calls, bytes"
    " FROM unnest(CAST(:ids AS uuid[]), CAST(:calls AS bigint[]), CAST(:bytes AS bigint[])) AS given (id, calls, bytes)"
    " CROSS JOIN (VALUES ('day', CAST(:day AS date)), ('month', CAST(:month AS date))) AS spans (period, begins)"
    " ORDER BY id, period"
    " ON CONFLICT (integration_id, period, begins)"
    " DO UPDATE SET calls = u.calls + excluded.calls, bytes = u.bytes + excluded.bytes"
    " RETURNING integration_id, period, calls, bytes"
)


def add_calls(
    conn: Connection,
    calls: Mapping[uuid.UUID, int],
    day: date,
    month: date,
    size: Mapping[uuid.UUID, int] | None = None,
) -> dict[uuid.UUID, Used]:
    """Add calls and bytes to the day and the month. Served by integration_usage_pkey; its order is that of the locks.

    Args:
        conn: a connection inside a transaction.
        calls: by integration; negative ones are given back.
        day: the present one, UTC.
        month: its first day.
        size: bytes, likewise.

    Returns:
        What is used now.
    """
    ids = sorted(calls)
    rows = conn.execute(
        _ADD,
        {
            "ids": ids,
            "calls": [calls[one] for one in ids],
            "bytes": [(size or {}).get(one, 0) for one in ids],
            "day": day,
            "month": month,
        },
    )
    found = dict.fromkeys(ids, Used())
    for row in rows:
        was = found[row.integration_id]
        found[row.integration_id] = was._replace(
            **{f"{row.period}_calls": row.calls, f"{row.period}_bytes": row.bytes}
        )
    return found


def find_usage(conn: Connection, integration_id: uuid.UUID, day: date, month: date) -> Used:
    """What was used of one integration. Served by integration_usage_pkey."""
    rows = conn.execute(
        text(
            "SELECT period, calls, bytes FROM hub.integration_usage WHERE integration_id = :id"
            " AND (period, begins) IN (('day', CAST(:day AS date)), ('month', CAST(:month AS date)))"
        ),
        {"id": integration_id, "day": day, "month": month},
    )
    found = Used()
    for row in rows:
        found = found._replace(**{f"{row.period}_calls": row.calls, f"{row.period}_bytes": row.bytes})
    return found


def prune_usage(conn: Connection, before: date) -> int:
    """Delete what was counted of old days and months. Small: a few rows an integration with a quota."""
    return conn.execute(
        text("DELETE FROM hub.integration_usage WHERE begins < :before"), {"before": before}
    ).rowcount
