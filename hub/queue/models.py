"""Tables of the engine itself: leader, ticks, heartbeats, messages that no task understood."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, PrimaryKeyConstraint, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from hub.db.schema import Timestamp, created_at, id_column, metadata

#: Who leads, for each thing that must have one leader.
leader = Table(
    "leader",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("until", Timestamp, nullable=False),
)

#: Each periodic job's due moments that were started: two beats cannot start one twice.
tick = Table(
    "tick",
    metadata,
    Column("name", Text, nullable=False),
    Column("scheduled_for", Timestamp, nullable=False),
    Column("owner", Text, nullable=False),
    created_at(),
    PrimaryKeyConstraint("name", "scheduled_for"),
)

#: One row for each worker process: it consumed or polled at `seen_at`.
worker = Table(
    "worker",
    metadata,
    Column("name", Text, primary_key=True),
    Column("queues", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", Timestamp, nullable=False),
    Column("seen_at", Timestamp, nullable=False),
    Column("stopped_at", Timestamp),
)

#: Broker messages that were refused, for a person to look at.
rejected_message = Table(
    "rejected_message",
    metadata,
    id_column(primary_key=True),
    Column("task", Text),
    Column("queue", Text),
    Column("reason", Text, nullable=False),
    Column("headers", JSONB),
    Column("body_excerpt", Text),
    created_at(),
    Index(None, "created_at"),
)
