"""The statements of commands that work on the database itself: publishing as its operator, `doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from hub.core.errors import Conflict, Invalid
from hub.db.lane_ledger import NEVER
from hub.db.states import QUARANTINED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Connection, Row

_QUARANTINED = {
    "delivery": f"SELECT count(*) FROM hub.delivery_waiting WHERE due_at = '{NEVER}'",  # noqa: S608
    "execution": f"SELECT count(*) FROM hub.execution WHERE state = 'held' AND reason = '{QUARANTINED}'",  # noqa: S608
    "check_run": f"SELECT count(*) FROM hub.check_run WHERE state = 'held' AND reason = '{QUARANTINED}'",  # noqa: S608
}
_OURS = "hub: "
_UNIQUE_VIOLATION = "23505"


class Rejected(NamedTuple):
    """A broker message that no task understood."""

    id: UUID
    created_at: datetime
    task: str | None
    queue: str | None
    reason: str
    headers: dict[str, Any] | None
    body_excerpt: str | None


class Server(NamedTuple):
    """What the database server says of itself."""

    version: int
    encoding: str
    now: datetime


def publish_event(
    conn: Connection,
    tenant: str,
    event_type: str,
    data: str,
    *,
    id: str | None = None,  # noqa: A002 - the field's name
    labels: list[str] | None = None,
    ordering_key: str | None = None,
    deliver_at: str | None = None,
    expires_at: str | None = None,
) -> str:
    """Publish through the SQL door. What it reads is served by tenant_pkey and idempotency_key_pkey.

    Args:
        conn: a connection inside a transaction.
        tenant: `ten_…`.
        event_type: dotted event type.
        data: JSON text.
        id: the publisher's id.
        labels: of the event.
        ordering_key: of the event.
        deliver_at: RFC 3339.
        expires_at: RFC 3339.

    Returns:
        `msg_…`.

    Raises:
        Invalid: the function refused it.
        Conflict: the id was used before with other content.
    """
    try:
        made: str = conn.execute(
            text(
                "SELECT hub.publish_event(:tenant, :type, CAST(:data AS json), :id, CAST(:labels AS text[]),"
                " :ordering_key, CAST(:deliver_at AS timestamptz), CAST(:expires_at AS timestamptz))"
            ),
            {
                "tenant": tenant, "type": event_type, "data": data, "id": id, "labels": labels,
                "ordering_key": ordering_key, "deliver_at": deliver_at, "expires_at": expires_at,
            },
        ).scalar_one()  # fmt: skip
    except DBAPIError as error:
        said = getattr(getattr(error.orig, "diag", None), "message_primary", None) or ""
        if not said.startswith(_OURS):
            raise
        kind = Conflict if getattr(error.orig, "sqlstate", None) == _UNIQUE_VIOLATION else Invalid
        raise kind(f"{said.removeprefix(_OURS).capitalize()}.") from None
    return made


def read_server(conn: Connection) -> Server:
    """Version, encoding and clock; reads no table."""
    row = conn.execute(
        text(
            "SELECT current_setting('server_version_num')::int AS version,"
            " current_setting('server_encoding') AS encoding, clock_timestamp() AS now"
        )
    ).one()
    return Server(row.version, row.encoding, row.now)


def limit_time(conn: Connection, seconds: float) -> None:
    """Give every later statement of this transaction so many seconds; reads no table."""
    conn.execute(text("SELECT set_config('statement_timeout', :ms, true)"), {"ms": str(int(seconds * 1000))})


def count_quarantined(conn: Connection) -> dict[str, int]:
    """Quarantined rows by table.

    Executions are served by execution_held_idx; check runs and the lines of deliveries have no index for it, so the
    caller limits the time.
    """
    counts = " UNION ALL ".join(
        f"SELECT '{table}' AS work, ({query}) AS rows" for table, query in _QUARANTINED.items()
    )
    return {row.work: row.rows for row in conn.execute(text(counts)) if row.rows}


def count_rejected(conn: Connection) -> int:
    """Broker messages that were refused in the last day. Served by rejected_message_created_at_idx."""
    count: int = conn.execute(
        text("SELECT count(*) FROM hub.rejected_message WHERE created_at > now() - interval '1 day'")
    ).scalar_one()
    return count


def grants_to_renew(conn: Connection, limit: int) -> Sequence[Row[Any]]:
    """Integrations that a person has to connect again: `id`, and `total`, how many there are.

    No index has the state of grants, of which there is one for an integration at most: the caller limits the time.
    """
    return conn.execute(
        text(
            "SELECT integration_id AS id, count(*) OVER () AS total FROM hub.integration_grant"
            " WHERE state = 'needs_reauth' ORDER BY updated_at DESC, integration_id LIMIT :limit"
        ),
        {"limit": limit},
    ).all()


def late_schedules(conn: Connection, seconds: float, limit: int) -> Sequence[Row[Any]]:
    """Schedules that should have started so long ago, longest first. Served by execution_schedule_next_idx.

    Returns:
        `id`, `late` (seconds), and `total`, how many there are.
    """
    return conn.execute(
        text(
            "SELECT id, CAST(EXTRACT(epoch FROM now() - next_at) AS float8) AS late, count(*) OVER () AS total"
            " FROM hub.execution_schedule WHERE next_at < now() - make_interval(secs => :seconds)"
            " ORDER BY next_at LIMIT :limit"
        ),
        {"seconds": seconds, "limit": limit},
    ).all()


def idle_flows(conn: Connection, limit: int) -> Sequence[Row[Any]]:
    """Flows that take events for an integration that is not active: `id`, `integration_id`, and `total`.

    Served by integration_pkey; every flow is read, so the caller limits the time.
    """
    return conn.execute(
        text(
            "SELECT f.id, f.integration_id, count(*) OVER () AS total FROM hub.flow f"
            " JOIN hub.integration i ON i.id = f.integration_id"
            " WHERE NOT f.paused AND i.status = 'inactive' ORDER BY f.id LIMIT :limit"
        ),
        {"limit": limit},
    ).all()


def list_rejected(conn: Connection, limit: int, before: UUID | None) -> list[Rejected]:
    """Broker messages that were refused, newest first. Served by rejected_message_pkey: ids sort by time.

    Args:
        conn: a connection.
        limit: of rows.
        before: only those that came before this one.
    """
    rows = conn.execute(
        text(
            "SELECT id, created_at, task, queue, reason, headers, body_excerpt FROM hub.rejected_message"
            " WHERE id < coalesce(CAST(:before AS uuid), 'ffffffff-ffff-ffff-ffff-ffffffffffff')"
            " ORDER BY id DESC LIMIT :limit"
        ),
        {"before": before, "limit": limit},
    )
    return [Rejected(*row) for row in rows]
