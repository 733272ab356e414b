"""Tables and columns that every kind of work shares."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    DOUBLE_PRECISION,
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
    Uuid,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, JSON

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


def lane_tables(table: str, lane: str) -> tuple[Table, Table, Table, Table]:
    """The tables beside a ledger whose rows wait in lanes; see `hub.db.lane_ledger` for who writes them.

    Narrow and small: they hold what is live. The ledger's own table has no index on anything that changes, so
    recording an outcome there touches no index at all.

    Args:
        table: the ledger's name.
        lane: what a lane is, for the name of its table's key: `endpoint` makes `endpoint_id`.
    """
    key = f"{lane}_id"
    lanes = Table(
        f"{table}_lane",
        metadata,
        id_column(key, primary_key=True),
        id_column("tenant_id"),
        # The earliest moment at which a claim may find something here; None: nothing waits.
        Column("wake_at", Timestamp),
        # Why nothing may be claimed, and until when (`infinity`: until somebody says so).
        Column("hold", Text),
        Column("hold_until", Timestamp),
        # How often in a row a breaker opened; its pause grows with it.
        Column("holds", SmallInteger, nullable=False, server_default="0"),
        # Rows that are leased now; kept only where a limit needs it.
        Column("in_flight", Integer, nullable=False, server_default="0"),
        Column("tokens", DOUBLE_PRECISION, nullable=False, server_default="0"),
        Column("refilled_at", Timestamp, nullable=False, server_default=sql("now()")),
        # After a hold, until the line is empty, no more than `drain_rate` rows a second.
        Column("draining", Boolean, nullable=False, server_default="false"),
        # What waits is to be cancelled, for this reason.
        Column("discard", Text),
        # The limits; None: none.
        Column("max_in_flight", Integer),
        Column("rate", DOUBLE_PRECISION),
        Column("drain_rate", DOUBLE_PRECISION),
        Column("batch_size", Integer, nullable=False, server_default="1"),
        Column("batch_wait", DOUBLE_PRECISION, nullable=False, server_default="0"),
        Index(f"{table}_lane_wake_at_idx", "wake_at"),
        Index(f"{table}_lane_hold_idx", "hold", postgresql_where=sql("hold IS NOT NULL")),
        Index(f"{table}_lane_discard_idx", key, postgresql_where=sql("discard IS NOT NULL")),
        # A lane is written often and is one of few: room on the page keeps that cheap.
        postgresql_with={"fillfactor": 50},
    )
    waiting = Table(
        f"{table}_waiting",
        metadata,
        id_column(key),
        Column("due_at", Timestamp, nullable=False),
        id_column("id"),
        PrimaryKeyConstraint(key, "due_at", "id"),
    )
    leases = Table(
        f"{table}_lease",
        metadata,
        id_column("id", primary_key=True),
        Column("until", Timestamp, nullable=False),
        Column("ids", ARRAY(Uuid), nullable=False),
        Index(f"{table}_lease_until_idx", "until"),
    )
    # Live rows that have to wait for each other: of each key only the first waits in its lane.
    order = Table(
        f"{table}_order",
        metadata,
        id_column(key),
        Column("ordering_key", Text, nullable=False),
        id_column("id"),
        PrimaryKeyConstraint(key, "ordering_key", "id"),
    )
    return lanes, waiting, leases, order


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
    # As sent, what is secret in them masked.
    Column("request_headers", JSON),
    Column("response_headers", JSON),
    Column("response_body", LargeBinary),
    Column("truncated", Boolean, nullable=False, server_default="false"),
    PrimaryKeyConstraint("work_id", "id"),
    postgresql_partition_by="RANGE (id)",
)
