"""What the benchmark reads from the hub's own rows. The queries are its own: it must not trust what it measures."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, text

_TABLES = ("message", "delivery", "execution")


def is_busy(conn: Connection) -> bool:
    """Whether anything is due now or leased. Served by the partial indexes of the live states."""
    live = " OR ".join(
        f"EXISTS (SELECT 1 FROM hub.{table} WHERE state = 'due' AND due_at <= now())"
        f" OR EXISTS (SELECT 1 FROM hub.{table} WHERE state = 'leased')"
        for table in _TABLES
    )
    return bool(conn.scalar(text(f"SELECT {live}")))


def clear(conn: Connection) -> None:
    """Forget all work, so that one scenario's rows are not another one's."""
    conn.execute(text("TRUNCATE hub.message, hub.delivery, hub.execution, hub.attempt"))


def finished_deliveries(conn: Connection) -> Row[Any]:
    """`total` deliveries, those `done`, `attempts` of them, and `last`, the Unix time when the last one was recorded.

    That time is the database's when the recording transaction began.
    """
    return conn.execute(
        text(
            "SELECT count(*) AS total, count(*) FILTER (WHERE state = 'done') AS done,"
            " (SELECT count(*) FROM hub.attempt WHERE kind = 'delivery') AS attempts,"
            " extract(epoch FROM max(finished_at))::float8 AS last FROM hub.delivery"
        )
    ).one()


def finished_executions(conn: Connection) -> Row[Any]:
    """The same of executions."""
    return conn.execute(
        text(
            "SELECT count(*) AS total, count(*) FILTER (WHERE state = 'done') AS done,"
            " (SELECT count(*) FROM hub.attempt WHERE kind = 'execution') AS attempts,"
            " extract(epoch FROM max(finished_at))::float8 AS last FROM hub.execution"
        )
    ).one()


def execution_seconds(conn: Connection) -> list[float]:
    """For each finished execution the seconds from its acceptance to its result, by the database's clock."""
    rows = conn.execute(
        text(
            "SELECT extract(epoch FROM finished_at - created_at)::float8 AS took FROM hub.execution WHERE state = 'done'"
        )
    )
    return [row.took for row in rows]


def log_statements(conn: Connection, *, on: bool) -> None:
    """Have Postgres log every statement, without its parameters, or stop it. Needs an autocommit connection."""
    conn.execute(text("ALTER SYSTEM SET log_parameter_max_length = 0"))
    conn.execute(text(f"ALTER SYSTEM SET log_min_duration_statement = {0 if on else -1}"))
    conn.execute(text("SELECT pg_reload_conf()"))
