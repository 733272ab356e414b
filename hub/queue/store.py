"""Every query of the engine's own tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, text

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence
    from datetime import datetime


def take_lead(conn: Connection, name: str, owner: str, seconds: float) -> bool:
    """Become or stay the leader. Served by the primary key; the database's clock decides.

    Args:
        conn: a connection; commit at once.
        name: what is led.
        owner: who asks.
        seconds: how long the lead lasts unless it is renewed.
    """
    return (
        conn.scalar(
            text(
                "INSERT INTO hub.leader (name, owner, until)"
                " VALUES (:name, :owner, now() + make_interval(secs => :seconds))"
                " ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until"
                " WHERE leader.owner = excluded.owner OR leader.until < now() RETURNING 1"
            ),
            {"name": name, "owner": owner, "seconds": seconds},
        )
        is not None
    )


def drop_lead(conn: Connection, name: str, owner: str) -> None:
    """Let somebody else lead at once. Served by the primary key."""
    conn.execute(
        text("DELETE FROM hub.leader WHERE name = :name AND owner = :owner"), {"name": name, "owner": owner}
    )


def start_tick(conn: Connection, name: str, scheduled_for: datetime, owner: str) -> bool:
    """Claim one due moment of a periodic job; False when somebody has it. Served by the primary key."""
    return (
        conn.scalar(
            text(
                "INSERT INTO hub.tick (name, scheduled_for, owner) VALUES (:name, :at, :owner)"
                " ON CONFLICT DO NOTHING RETURNING 1"
            ),
            {"name": name, "at": scheduled_for, "owner": owner},
        )
        is not None
    )


def prune_ticks(conn: Connection, older_than: float) -> int:
    """Forget ticks older than so many seconds. Reads the table, which holds an hour or so."""
    return conn.execute(
        text("DELETE FROM hub.tick WHERE created_at < now() - make_interval(secs => :s)"), {"s": older_than}
    ).rowcount


def prune_rejected(conn: Connection, days: int) -> int:
    """Forget messages that were rejected longer ago. Served by rejected_message_created_at_idx."""
    return conn.execute(
        text("DELETE FROM hub.rejected_message WHERE created_at < now() - make_interval(days => :days)"),
        {"days": days},
    ).rowcount


def prune_workers(conn: Connection, days: int) -> int:
    """Forget workers that were not seen for so long. Reads the table, which holds a row for each worker."""
    return conn.execute(
        text("DELETE FROM hub.worker WHERE seen_at < now() - make_interval(days => :days)"), {"days": days}
    ).rowcount


def beat_heart(conn: Connection, name: str, queues: str, pid: int, started_at: datetime) -> None:
    """A worker is alive and consuming. Served by the primary key."""
    conn.execute(
        text(
            "INSERT INTO hub.worker (name, queues, pid, started_at, seen_at)"
            " VALUES (:name, :queues, :pid, :started, now())"
            " ON CONFLICT (name) DO UPDATE SET queues = excluded.queues, pid = excluded.pid,"
            " started_at = excluded.started_at, seen_at = now(), stopped_at = NULL"
        ),
        {"name": name, "queues": queues, "pid": pid, "started": started_at},
    )


def stop_heart(conn: Connection, name: str) -> None:
    """A worker ended on purpose. Served by the primary key."""
    conn.execute(text("UPDATE hub.worker SET stopped_at = now() WHERE name = :name"), {"name": name})


def list_workers(conn: Connection) -> Sequence[Row[Any]]:
    """All workers that were seen in the last day, with the age of their last heartbeat in seconds."""
    return conn.execute(
        text(
            "SELECT name, queues, pid, started_at, seen_at, stopped_at,"
            " extract(epoch FROM now() - seen_at)::float8 AS age FROM hub.worker"
            " WHERE seen_at > now() - interval '1 day' ORDER BY name"
        )
    ).all()


def read_leader(conn: Connection, name: str) -> Row[Any] | None:
    """Who leads, and for how many more seconds. Served by the primary key."""
    return conn.execute(
        text(
            "SELECT owner, extract(epoch FROM until - now())::float8 AS remaining FROM hub.leader WHERE name = :name"
        ),
        {"name": name},
    ).one_or_none()


def record_rejected(
    conn: Connection,
    row_id: uuid.UUID,
    *,
    task: str | None,
    queue: str | None,
    reason: str,
    headers: str,
    body: str,
) -> None:
    """Keep a message that no task understood. Insert only."""
    conn.execute(
        text(
            "INSERT INTO hub.rejected_message (id, task, queue, reason, headers, body_excerpt)"
            " VALUES (:id, :task, :queue, :reason, CAST(:headers AS jsonb), :body)"
        ),
        {"id": row_id, "task": task, "queue": queue, "reason": reason, "headers": headers, "body": body},
    )
