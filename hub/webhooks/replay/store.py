"""Every query of replay jobs. Those for people take the tenant's scope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, text, update

from hub.core.ids import Kind, new_uuid
from hub.db.tenant_rows import find_row, newest_first
from hub.webhooks.replay.models import replay, replay_step

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence

#: The states of a job that is not over.
OPEN = ("pending", "running", "paused")
ACTIVE = ("pending", "running")

# -- jobs: for workers ----------------------------------------------------------------------------------------------


def limit_transaction(conn: Connection, *, seconds: int, read_only: bool = False) -> None:
    """The database ends this transaction should its process hang, so that nothing stays locked."""
    conn.execute(
        text(
            f"SET LOCAL idle_in_transaction_session_timeout = '{seconds:d}s';"
            f" SET LOCAL statement_timeout = '{seconds:d}s'"
            + ("; SET TRANSACTION READ ONLY" if read_only else "")
        )
    )


def take(conn: Connection) -> Row[Any] | None:
    """Lock the job that has been due longest until the transaction ends. Served by replay_due_at_idx.

    There is no lease: a step does nothing outside of this transaction, so a worker that dies leaves the job as it
    was. Jobs that another worker is busy with are passed over.
    """
    return conn.execute(
        text(
            "SELECT *, extract(epoch FROM now() - refilled_at)::float8 AS elapsed FROM hub.replay"
            " WHERE state IN ('pending', 'running') AND due_at <= now() ORDER BY due_at LIMIT 1"
            " FOR UPDATE SKIP LOCKED"
        )
    ).one_or_none()


def seconds_until_due(conn: Connection) -> float | None:
    """How long until a job is due; None: there is none. Served by replay_due_at_idx."""
    seconds: float | None = conn.scalar(
        text(
            "SELECT greatest(0, extract(epoch FROM due_at - now()))::float8 FROM hub.replay"
            " WHERE state IN ('pending', 'running') ORDER BY due_at LIMIT 1"
        )
    )
    return seconds


def write_step(
    conn: Connection,
    replay_id: uuid.UUID,
    values: Mapping[str, Any],
    *,
    pause: float,
    deliveries: Sequence[uuid.UUID],
) -> None:
    """Where the job stands now, in the transaction that sent something again. Served by replay_pkey.

    Args:
        conn: the connection that took it.
        replay_id: the job.
        values: its columns.
        pause: seconds until its next step.
        deliveries: what was sent again.
    """
    over = values["state"] not in ACTIVE
    conn.execute(
        update(replay)
        .where(replay.c.id == replay_id)
        .values(
            **values,
            errors=0,
            refilled_at=text("now()"),
            started_at=text("coalesce(started_at, now())"),
            due_at=text("now() + make_interval(secs => :pause)").bindparams(pause=pause),
            finished_at=text("now()") if over else None,
        )
    )
    if deliveries:
        conn.execute(
            insert(replay_step).values(replay_id=replay_id, id=new_uuid(), deliveries=list(deliveries))
        )


def note_trouble(
    conn: Connection, replay_id: uuid.UUID, error: str, *, pause: float, give_up_after: int
) -> None:
    """A step went wrong and was undone: the job waits, or after too many fails. Served by replay_pkey."""
    conn.execute(
        text(
            "UPDATE hub.replay SET errors = errors + 1, error = :error,"
            " state = CASE WHEN errors + 1 >= :most THEN 'failed' ELSE state END,"
            " reason = CASE WHEN errors + 1 >= :most THEN 'errors' ELSE reason END,"
            " finished_at = CASE WHEN errors + 1 >= :most THEN now() END,"
            " due_at = now() + make_interval(secs => least(:pause * power(2, errors), 60))"
            " WHERE id = :id AND state IN ('pending', 'running')"
        ),
        {"id": replay_id, "error": error, "pause": pause, "most": give_up_after},
    )


# -- jobs: for people -----------------------------------------------------------------------------------------------


def insert_replay(conn: Connection, values: Mapping[str, Any]) -> Row[Any]:
    """Write a job, due at once, and return it."""
    return conn.execute(insert(replay).values(values).returning(replay)).one()


def count_open(conn: Connection, tenant_id: uuid.UUID) -> int:
    """The tenant's jobs that are not over, counted while nobody else makes one.

    Served by replay_open_idx.
    """
    conn.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"replays:{tenant_id}"}
    )
    found: int = conn.execute(
        text(
            "SELECT count(*) FROM hub.replay WHERE tenant_id = :tenant AND state IN ('pending', 'running', 'paused')"
        ),
        {"tenant": tenant_id},
    ).scalar_one()
    return found


def prune(conn: Connection, tenant_id: uuid.UUID, *, older_than: uuid.UUID, limit: int = 100) -> None:
    """Delete a tenant's oldest jobs that are over. Served by replay_tenant_id_id_idx and primary keys.

    Args:
        conn: a connection.
        tenant_id: whose.
        older_than: made before this id.
        limit: jobs at most.
    """
    old = (
        select(replay.c.id)
        .where(replay.c.tenant_id == tenant_id, replay.c.id < older_than, replay.c.state.not_in(OPEN))
        .order_by(replay.c.id)
        .limit(limit)
    )
    ids = conn.scalars(old.with_for_update(skip_locked=True)).all()
    if ids:
        conn.execute(delete(replay_step).where(replay_step.c.replay_id.in_(ids)))
        conn.execute(delete(replay).where(replay.c.id.in_(ids)))


def find_replay(
    conn: Connection, tenant_id: uuid.UUID, replay_id: uuid.UUID, *, lock: bool = False
) -> Row[Any]:
    """One job of the tenant. Served by replay_pkey.

    Raises:
        NotFound: the tenant has no such job.
    """
    return find_row(conn, replay, tenant_id, replay_id, Kind.REPLAY, lock=lock)


def list_replays(
    conn: Connection, tenant_id: uuid.UUID, *, after: uuid.UUID | None, limit: int
) -> Sequence[Row[Any]]:
    """The tenant's jobs, newest first. Served by replay_tenant_id_id_idx."""
    own = select(replay).where(replay.c.tenant_id == tenant_id)
    return conn.execute(newest_first(own, replay.c.id, after=after, limit=limit)).all()


def set_state(conn: Connection, replay_id: uuid.UUID, state: str) -> Row[Any]:
    """Pause, resume or cancel a job that the caller has locked. Served by replay_pkey."""
    return conn.execute(
        update(replay)
        .where(replay.c.id == replay_id)
        .values(
            state=state,
            errors=0,
            due_at=text("now()"),
            finished_at=text("now()") if state == "cancelled" else None,
        )
        .returning(replay)
    ).one()


def count_outcomes(conn: Connection, replay_id: uuid.UUID, *, limit: int) -> dict[str, int]:
    """What has become of the deliveries that a job sent last: state → how many.

    Served by replay_step_pkey, newest steps first, and one look-up in delivery_pkey for each delivery.

    Args:
        conn: a connection.
        replay_id: the job.
        limit: deliveries at most.
    """
    rows = conn.execute(
        text(
            "WITH sent AS (SELECT id FROM (SELECT deliveries FROM hub.replay_step WHERE replay_id = :replay"
            "   ORDER BY id DESC LIMIT :limit) s, unnest(s.deliveries) AS id LIMIT :limit)"
            " SELECT d.state, count(*) AS n FROM sent CROSS JOIN LATERAL"
            " (SELECT state FROM hub.delivery WHERE id = sent.id OFFSET 0) d GROUP BY d.state"
        ).bindparams(bindparam("replay", replay_id), bindparam("limit", limit))
    )
    return {row.state: row.n for row in rows}


def count_held(conn: Connection, tenant_id: uuid.UUID, endpoint_id: uuid.UUID | None) -> int:
    """Endpoints, of this tenant or this one, to which nothing is sent now. Served by primary keys."""
    found: int = conn.execute(
        text(
            "SELECT count(*) FROM hub.endpoint e JOIN hub.delivery_lane l ON l.endpoint_id = e.id"
            " WHERE e.tenant_id = :tenant AND (CAST(:endpoint AS uuid) IS NULL OR e.id = :endpoint)"
            " AND l.hold IS NOT NULL"
        ),
        {"tenant": tenant_id, "endpoint": endpoint_id},
    ).scalar_one()
    return found
