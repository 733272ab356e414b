"""Tables of replays."""

from __future__ import annotations

from sqlalchemy import (
    DOUBLE_PRECISION,
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from hub.db.schema import Timestamp, created_at, id_column, metadata

#: One job: what it looks for, how far it came, how fast it may go.
replay = Table(
    "replay",
    metadata,
    id_column(primary_key=True),
    id_column("tenant_id"),
    Column(
        "kind",
        Text,
        CheckConstraint("kind IN ('failed', 'missing', 'filter', 'all')", name="kind"),
        nullable=False,
    ),
    # None: all of the tenant's.
    Column("endpoint_id", Uuid),
    Column("since", Timestamp, nullable=False),
    Column("until", Timestamp, nullable=False),
    Column("states", ARRAY(Text), nullable=False, server_default="{}"),
    # Narrow it down; empty or None: they do not.
    Column("event_types", ARRAY(Text), nullable=False, server_default="{}"),
    Column("labels", ARRAY(Text), nullable=False, server_default="{}"),
    Column("response", ARRAY(Text), nullable=False, server_default="{}"),
    Column("filter", JSONB),
    # Deliveries a second, and what of it is saved up.
    Column("rate", DOUBLE_PRECISION, nullable=False),
    Column("tokens", DOUBLE_PRECISION, nullable=False, server_default="0"),
    Column("refilled_at", Timestamp, nullable=False, server_default=sql("now()")),
    Column(
        "state",
        Text,
        CheckConstraint(
            "state IN ('pending', 'running', 'paused', 'done', 'cancelled', 'failed')", name="state"
        ),
        nullable=False,
        server_default="pending",
    ),
    # One word for programs, and the sentence: why it failed, or what went wrong last.
    Column("reason", Text),
    Column("error", Text),
    # Steps in a row that went wrong.
    Column("errors", SmallInteger, nullable=False, server_default="0"),
    Column("due_at", Timestamp, nullable=False, server_default=sql("now()")),
    # How far it came, see `hub.webhooks.replay.pages.Position`.
    Column("cursor_endpoint", Uuid),
    Column("cursor_id", Uuid),
    Column("fraction", DOUBLE_PRECISION, nullable=False, server_default="0"),
    Column("scanned", BigInteger, nullable=False, server_default="0"),
    Column("selected", BigInteger, nullable=False, server_default="0"),
    Column("requeued", BigInteger, nullable=False, server_default="0"),
    # Passed over because they wait for a retry.
    Column("waiting", BigInteger, nullable=False, server_default="0"),
    # Who made the last step.
    Column("worker", Text),
    Column("created_by", Uuid),
    created_at(),
    Column("started_at", Timestamp),
    Column("finished_at", Timestamp),
    Index(None, "tenant_id", "id"),
    Index(None, "due_at", postgresql_where=sql("state IN ('pending', 'running')")),
    Index("replay_open_idx", "tenant_id", postgresql_where=sql("state IN ('pending', 'running', 'paused')")),
)

#: What each step of a job sent again: a row for a step, not for a delivery.
replay_step = Table(
    "replay_step",
    metadata,
    id_column("replay_id"),
    id_column(),
    Column("deliveries", ARRAY(Uuid), nullable=False),
    PrimaryKeyConstraint("replay_id", "id"),
)
