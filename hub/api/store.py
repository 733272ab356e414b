"""The statements of the API process itself: probes, counts, the bell that other services ring by SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg import sql
from sqlalchemy import text

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Connection

#: Counting stops here: a backlog of a million must not make every scrape read a million index entries.
MAX_DEPTH = 100_000


class Depth(NamedTuple):
    """How much work of one kind there is."""

    table: str
    due: int
    leased: int
    oldest_due_seconds: float


def ping(conn: Connection) -> None:
    """Ask for nothing; reads no table."""
    conn.execute(text("SELECT 1"))


#: What waits and what is leased, by kind of work.
_DUE = {
    "message": "SELECT due_at FROM hub.outbox WHERE due_at <= now()",
    # What stands in a lane that is held does not wait for a worker.
    "delivery": "SELECT w.due_at FROM hub.delivery_lane l JOIN hub.delivery_waiting w USING (endpoint_id)"
    " WHERE l.wake_at <= now() AND w.due_at <= now()",
    "execution": "SELECT due_at FROM hub.execution WHERE state = 'due'",
    "check_run": "SELECT due_at FROM hub.check_run WHERE state = 'due'",
}
_LEASED = {
    "message": "SELECT WHERE false",
    "delivery": "SELECT FROM hub.delivery_lease l CROSS JOIN LATERAL unnest(l.ids) AS i(id)"
    " CROSS JOIN LATERAL (SELECT state FROM hub.delivery WHERE id = i.id OFFSET 0) d WHERE d.state = 'leased'",
    "execution": "SELECT FROM hub.execution WHERE state = 'leased'",
    "check_run": "SELECT FROM hub.check_run WHERE state = 'leased'",
}


def ledger_depths(conn: Connection) -> list[Depth]:
    """Live rows of every ledger. Served by the partial indexes of live rows and by the tables that list them."""
    counts = " UNION ALL ".join(
        f"SELECT '{table}' AS work, d.due, d.oldest,"  # noqa: S608 - table names are ours
        f" (SELECT count(*) FROM ({_LEASED[table]} LIMIT :most) AS l) AS leased"
        " FROM (SELECT count(*) AS due, greatest(0, extract(epoch FROM now() - min(due_at))) AS oldest"
        f"         FROM ({due} LIMIT :most) AS q) AS d"
        for table, due in _DUE.items()
    )
    rows = conn.execute(text(counts), {"most": MAX_DEPTH})
    return [Depth(row.work, row.due, row.leased, float(row.oldest)) for row in rows]


def listen(connection: psycopg.Connection[Any], channel: str) -> None:
    """Subscribe to notifications; reads no table."""
    connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
