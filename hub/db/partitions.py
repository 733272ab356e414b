"""Daily range partitions, cut along the UUIDv7 id: made ahead, dropped by retention.

Because an id carries its creation time, `PARTITION BY RANGE (id)` is a partitioning by day whose primary key is the
id alone: a look-up by id touches one partition, and no unique index needs a second column. Cost does not grow with
history, and deleting a day is one DROP instead of millions of row deletes.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import text

from hub.core.ids import floor_uuid
from hub.db.schema import SCHEMA

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: Tables cut by day. Those with a `state` column keep a day for as long as it holds unfinished work.
PARTITIONED = ("message", "delivery", "execution", "check_run", "attempt", "inbound")
_LEDGERS = frozenset({"message", "delivery", "execution", "check_run"})
#: Where the live rows of a table are listed when it does not say so itself. A delivery has its message's day and is
#: sent from it, so both stay for as long as either has work.
_LIVE_DELIVERIES = (
    "SELECT 1 FROM hub.delivery_waiting WHERE id >= CAST(:first AS uuid) AND id < CAST(:next AS uuid)",
    "SELECT 1 FROM hub.delivery_order WHERE id >= CAST(:first AS uuid) AND id < CAST(:next AS uuid)",
    (
        "SELECT 1 FROM hub.delivery_lease, unnest(ids) AS leased(id)"
        " WHERE leased.id >= CAST(:first AS uuid) AND leased.id < CAST(:next AS uuid)"
    ),
    "SELECT 1 FROM hub.outbox WHERE message_id >= CAST(:first AS uuid) AND message_id < CAST(:next AS uuid)",
)
_LISTED = {"message": _LIVE_DELIVERIES, "delivery": _LIVE_DELIVERIES}
_NAME = re.compile(r"^(?P<table>[a-z_]+)_p(?P<day>\d{8})$")
_ADVISORY_LOCK = 0x6875_6201  # "hub" 01: one maintainer at a time


def _bound(day: date) -> str:
    return str(floor_uuid(datetime(day.year, day.month, day.day, tzinfo=UTC)))


def existing(conn: Connection, table: str) -> dict[date, str]:
    """The daily partitions of a table: day → relation name. Reads pg_inherits by its primary key."""
    rows = conn.execute(
        text(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = to_regclass(:parent)"
        ),
        {"parent": f"{SCHEMA}.{table}"},
    )
    found = {}
    for (name,) in rows:
        if match := _NAME.match(name):
            found[datetime.strptime(match["day"], "%Y%m%d").replace(tzinfo=UTC).date()] = name
    return found


def ensure(conn: Connection, today: date, *, ahead: int = 3) -> list[str]:
    """Make the partitions of yesterday (clocks differ), today and the days ahead that do not exist yet.

    Args:
        conn: a connection inside a transaction.
        today: the current day, UTC.
        ahead: days to have in stock; a hub whose maintenance stopped still works for so long.

    Returns:
        The names of the partitions made.
    """
    conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    made = []
    for table in PARTITIONED:
        have = existing(conn, table)
        for offset in range(-1, ahead + 1):
            day = today + timedelta(days=offset)
            if day in have:
                continue
            name = f"{table}_p{day:%Y%m%d}"
            conn.execute(
                text(
                    f"CREATE TABLE {SCHEMA}.{name} PARTITION OF {SCHEMA}.{table}"
                    f" FOR VALUES FROM ('{_bound(day)}') TO ('{_bound(day + timedelta(days=1))}')"
                    # Ledger rows are updated twice or three times; room on the page keeps those updates cheap.
                    + (" WITH (fillfactor = 70)" if table in _LEDGERS else "")
                )
            )
            made.append(name)
    return made


def _lives(conn: Connection, table: str, day: date, name: str) -> bool:
    """Does a day hold unfinished work?

    Served by the partial indexes of the live states, or by reading the tables that list live rows, which are small.
    """
    bounds = {"first": _bound(day), "next": _bound(day + timedelta(days=1))}
    questions = _LISTED.get(
        table, (f"SELECT 1 FROM {SCHEMA}.{name} WHERE state IN ('due', 'leased', 'held')",)
    )
    return any(
        conn.scalar(text(f"SELECT EXISTS ({question})"), bounds if table in _LISTED else {})
        for question in questions
    )


def drop_old(conn: Connection, today: date, *, keep_days: int) -> list[str]:
    """Drop partitions older than the retention, unless they still hold unfinished work or what such work needs.

    Args:
        conn: a connection inside a transaction.
        today: the current day, UTC.
        keep_days: full days of history to keep.

    Returns:
        The names of the partitions dropped.
    """
    conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    dropped = []
    for table in PARTITIONED:
        for day, name in sorted(existing(conn, table).items()):
            if day >= today - timedelta(days=keep_days):
                continue
            if table in _LEDGERS and _lives(conn, table, day, name):
                continue
            conn.execute(text(f"DROP TABLE {SCHEMA}.{name}"))
            dropped.append(name)
    return dropped
