"""The statements of the API process itself: probes, counts, the bell that other services ring by SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg import sql
from sqlalchemy import text

from hub.db.schema import SCHEMA

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Connection

#: Counting stops here: a backlog of a million must not make every scrape read a million index entries.
MAX_DEPTH = 100_000

_LEDGERS = ("message", "delivery", "execution", "check_run")


class Depth(NamedTuple):
    """How much work of one kind there is."""

    table: str
    due: int
    leased: int
    oldest_due_seconds: float


def ping(conn: Connection) -> None:
    """Ask for nothing; reads no table."""
    conn.execute(text("SELECT 1"))


def ledger_depths(conn: Connection) -> list[Depth]:
    """Live rows of every ledger. Served by `<table>_due_idx` and `<table>_lease_idx`."""
    counts = " UNION ALL ".join(
        f"SELECT '{table}' AS work,"  # noqa: S608 - table names are ours
        f" (SELECT count(*) FROM (SELECT FROM {SCHEMA}.{table} WHERE state = 'due' LIMIT :most) AS d) AS due,"
        f" (SELECT count(*) FROM (SELECT FROM {SCHEMA}.{table} WHERE state = 'leased' LIMIT :most) AS l)"
        " AS leased,"
        f" greatest(0, (SELECT extract(epoch FROM now() - min(due_at)) FROM {SCHEMA}.{table}"
        " WHERE state = 'due')) AS oldest"
        for table in _LEDGERS
    )
    rows = conn.execute(text(counts), {"most": MAX_DEPTH})
    return [Depth(row.work, row.due, row.leased, float(row.oldest)) for row in rows]


def listen(connection: psycopg.Connection[Any], channel: str) -> None:
    """Subscribe to notifications; reads no table."""
    connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
