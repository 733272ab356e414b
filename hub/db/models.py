"""Tables and columns that every kind of work shares."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    REAL,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSON

from hub.db.schema import Timestamp, id_column, metadata
from hub.db.states import State

_STATES = ", ".join(f"'{state.value}'" for state in State)


def ledger_columns() -> list[Any]:
    """The columns that make a table a ledger; see `hub.db.ledger` for who writes them."""
    return [
        Column(
            "state",
            Text,
            CheckConstraint(f"state IN ({_STATES})", name="state"),
            nullable=False,
            server_default="due",
        ),
        Column("due_at", Timestamp, nullable=False, server_default=sql("now()")),
        Column("lease_owner", Text),
        Column("lease_until", Timestamp),
        # Counts claims; a completion must show the fence of its own claim.
        Column("fence", Integer, nullable=False, server_default="0"),
        # Counts attempts that may have reached the outside.
        Column("attempt", Integer, nullable=False, server_default="0"),
        # Position in the retry schedule; a manual resend or a fault of ours does not move it.
        Column("step", Integer, nullable=False, server_default="0"),
        Column("lapses", SmallInteger, nullable=False, server_default="0"),
        # Why it is held, skipped or failed: one word for programs; the attempts hold the sentences.
        Column("reason", Text),
        Column("finished_at", Timestamp),
    ]


def ledger_indexes(table: str) -> list[Any]:
    """The live states are indexed partially: history costs the claim nothing."""
    return [
        Index(f"{table}_due_idx", "due_at", postgresql_where=sql("state = 'due'")),
        Index(f"{table}_lease_idx", "lease_until", postgresql_where=sql("state = 'leased'")),
    ]


#: Every call that left, or may have left, the hub: one row, whatever the kind of work.
attempt = Table(
    "attempt",
    metadata,
    id_column(),
    id_column("work_id"),
    id_column("tenant_id"),
    Column("kind", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("worker", Text),
    Column("started_at", Timestamp, nullable=False),
    Column(
        "outcome",
        Text,
        CheckConstraint("outcome IN ('succeeded', 'failed', 'interrupted')", name="outcome"),
        nullable=False,
    ),
    # Its lease had lapsed when the result came: recorded, but it decided nothing.
    Column("late", Boolean, nullable=False, server_default="false"),
    Column("error_class", Text),
    Column("message", Text),
    Column("status", Integer),
    Column("peer", Text),
    Column("dns_ms", REAL),
    Column("connect_ms", REAL),
    Column("tls_ms", REAL),
    Column("first_byte_ms", REAL),
    Column("total_ms", REAL),
    Column("response_headers", JSON),
    Column("response_body", LargeBinary),
    Column("truncated", Boolean, nullable=False, server_default="false"),
    PrimaryKeyConstraint("work_id", "id"),
    postgresql_partition_by="RANGE (id)",
)
