"""What the benchmark reads from the hub's own rows. The queries are its own: it must not trust what it measures."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, text

_FRAMES = "^(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|SET|RESET)"


def is_busy(conn: Connection) -> bool:
    """Whether anything is due now or leased.

    Leased deliveries have no index (that is the hub's design), so this reads the table once nothing else is left.
    """
    return bool(
        conn.scalar(
            text(
                "SELECT EXISTS (SELECT 1 FROM hub.outbox WHERE due_at <= now())"
                " OR EXISTS (SELECT 1 FROM hub.delivery_lane WHERE wake_at <= now())"
                " OR EXISTS (SELECT 1 FROM hub.execution WHERE state = 'due' AND due_at <= now())"
                " OR EXISTS (SELECT 1 FROM hub.execution WHERE state = 'leased')"
                " OR EXISTS (SELECT 1 FROM hub.delivery WHERE state = 'leased')"
            )
        )
    )


def clear(conn: Connection) -> None:
    """Forget all work, so that one scenario's rows are not another one's."""
    conn.execute(
        text(
            "TRUNCATE hub.message, hub.outbox, hub.delivery, hub.delivery_waiting, hub.delivery_lease,"
            " hub.delivery_order, hub.execution, hub.attempt, hub.inbound, hub.inbound_key"
        )
    )
    conn.execute(
        text(
            "UPDATE hub.delivery_lane SET wake_at = NULL, hold = NULL, hold_until = NULL, holds = 0, in_flight = 0,"
            " tokens = 0, draining = false WHERE wake_at IS NOT NULL OR hold IS NOT NULL OR in_flight > 0"
        )
    )


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


def largest_transactions(conn: Connection) -> tuple[int, int]:
    """Deliveries written by one transaction at most, and outcomes recorded by one.

    A delivery keeps the time at which its transaction began; an attempt is never written twice, so it keeps the
    transaction's number.
    """
    row = conn.execute(
        text(
            "SELECT (SELECT max(n) FROM (SELECT count(*) AS n FROM hub.delivery GROUP BY created_at) d) AS written,"
            " (SELECT max(n) FROM (SELECT count(*) AS n FROM hub.attempt GROUP BY xmin::text) a) AS recorded"
        )
    ).one()
    return row.written or 0, row.recorded or 0


def fail_all(conn: Connection) -> int:
    """Make every finished delivery one that failed, as an outage that was longer than all retries leaves them."""
    return conn.execute(text("UPDATE hub.delivery SET state = 'failed' WHERE state = 'done'")).rowcount


def is_vacuuming(conn: Connection) -> bool:
    """Whether Postgres is tidying up on its own."""
    return bool(
        conn.scalar(
            text("SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE backend_type = 'autovacuum worker')")
        )
    )


# -- pg_stat_statements ---------------------------------------------------------------------------------------------


class Calls(NamedTuple):
    """How often statements were executed.

    Args:
        work: those that do something.
        frames: those that begin and end transactions or set something.
    """

    work: int
    frames: int


def track_statements(conn: Connection, *, on: bool) -> None:
    """Have Postgres count what clients execute, from zero, or stop it. Needs an autocommit connection."""
    conn.execute(text(f"ALTER SYSTEM SET pg_stat_statements.track = {'top' if on else 'none'}"))
    conn.execute(text("SELECT pg_reload_conf()"))
    conn.execute(text("SELECT pg_stat_statements_reset()"))


def count_statements(conn: Connection) -> Calls:
    """What was executed since `track_statements`, or since the last count, by all processes."""
    row = conn.execute(
        text(
            "SELECT coalesce(sum(calls) FILTER (WHERE query !~* :frames), 0)::bigint AS work,"
            " coalesce(sum(calls) FILTER (WHERE query ~* :frames), 0)::bigint AS frames"
            " FROM pg_stat_statements WHERE query !~ 'pg_stat_statements'"
        ),
        {"frames": _FRAMES},
    ).one()
    conn.execute(text("SELECT pg_stat_statements_reset()"))
    return Calls(row.work, row.frames)


def buffers(conn: Connection, fragment: str) -> float:
    """Shared buffers that one execution of the statements with this text touched, on average, since the last reset."""
    touched = conn.scalar(
        text(
            "SELECT sum(shared_blks_hit + shared_blks_read)::float8 / sum(calls) FROM pg_stat_statements"
            " WHERE strpos(query, :fragment) > 0 AND query !~ 'pg_stat_statements'"
        ),
        {"fragment": fragment},
    )
    conn.execute(text("SELECT pg_stat_statements_reset()"))
    return float(touched or 0)
