"""Tables of executions: what was asked for, what is asked for again and again, and the counters of the calls made."""

from __future__ import annotations

from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSON

from hub.db.models import ledger_columns, ledger_indexes
from hub.db.schema import Timestamp, created_at, id_column, metadata
from hub.integrations.metrics import BOUNDS_MS, column_of

#: One operation, asked for once. What a fresh row needs: id, tenant_id, integration_id, operation, input, source.
execution = Table(
    "execution",
    metadata,
    id_column(primary_key=True),
    id_column("tenant_id"),
    id_column("integration_id"),
    Column("operation", Text, nullable=False),
    # json, not jsonb: keys keep their order, any text fits, and writing it is cheaper.
    Column("input", JSON, nullable=False, server_default="{}"),
    # Which door it came through: http, celery, sql, schedule, flow, replay.
    Column("source", Text, nullable=False),
    # Who asked: the API key, on whose behalf, and which part of the caller's system; all by their own word but the key.
    Column("caller", Uuid),
    Column("on_behalf_of", Text),
    Column("component", Text),
    # What it belongs to: a batch, a schedule, the execution that it repeats, the event that started it.
    Column("batch_id", Uuid),
    Column("schedule_id", Uuid),
    Column("replay_of", Uuid),
    Column("event_id", Uuid),
    # Of a flow: which one, and its steps as they were then, which make the input of the event that is stored.
    Column("flow_id", Uuid),
    Column("mapping", JSON),
    # W3C trace context, from the intake to the service; how many flows led here.
    Column("traceparent", Text),
    Column("depth", SmallInteger, nullable=False, server_default="0"),
    created_at(),
    *ledger_columns(),
    # The end result, written when the execution finishes; what each attempt brought is in `attempt`.
    Column("status", Integer),
    Column("response_headers", JSON),
    Column("data", Text),
    # The answer was not UTF-8 text: `data` is base64.
    Column("data_base64", Boolean, nullable=False, server_default="false"),
    Column("truncated", Boolean, nullable=False, server_default="false"),
    Column("error", JSON),
    # The error's type once more, for searching.
    Column("error_class", Text),
    # What was sent, without credentials: method, endpoint, headers, payload.
    Column("request", JSON),
    Column("cached", Boolean, nullable=False, server_default="false"),
    # Milliseconds of the last attempt, by link of the chain.
    Column("timings", JSON),
    # Tokens and their cost, of AI services.
    Column("usage", JSON),
    Column("latency_ms", REAL),
    Column("data_size", Integer),
    *ledger_indexes("execution"),
    Index(None, "tenant_id", "id"),
    Index(None, "integration_id", "id"),
    Index(None, "integration_id", "operation", "id"),
    Index("execution_failed_idx", "tenant_id", "error_class", "id", postgresql_where=sql("state = 'failed'")),
    Index(
        "execution_user_idx",
        "tenant_id",
        "on_behalf_of",
        "id",
        postgresql_where=sql("on_behalf_of IS NOT NULL"),
    ),
    Index("execution_batch_idx", "batch_id", postgresql_where=sql("batch_id IS NOT NULL")),
    Index("execution_flow_idx", "flow_id", "id", postgresql_where=sql("flow_id IS NOT NULL")),
    Index("execution_event_idx", "event_id", postgresql_where=sql("event_id IS NOT NULL")),
    Index("execution_schedule_idx", "schedule_id", "id", postgresql_where=sql("schedule_id IS NOT NULL")),
    # What a full worker takes beside those that fill it.
    Index("execution_due_integration_idx", "integration_id", "due_at", postgresql_where=sql("state = 'due'")),
    Index("execution_held_idx", "integration_id", postgresql_where=sql("state = 'held'")),
    postgresql_partition_by="RANGE (id)",
)

#: Calls of one integration in one minute. No foreign key: counting must not fail because something was deleted.
integration_metric = Table(
    "integration_metric",
    metadata,
    id_column("tenant_id"),
    id_column("integration_id"),
    Column("bucket", Timestamp, nullable=False),
    Column("source", Text, CheckConstraint("source IN ('call', 'check')", name="source"), nullable=False),
    Column("calls", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("latency_ms_sum", Double, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    # Calls that took at most so many milliseconds; all of them are in `calls`.
    *(Column(column_of(bound), Integer, nullable=False) for bound in BOUNDS_MS),
    PrimaryKeyConstraint("integration_id", "bucket", "source"),
    Index(None, "tenant_id", "bucket"),
    Index(None, "bucket"),
)

#: What was used of an integration's quota in a day or month. Only for integrations that have one.
integration_usage = Table(
    "integration_usage",
    metadata,
    id_column("integration_id"),
    # `day` or `month`, and its first day, UTC.
    Column("period", Text, CheckConstraint("period IN ('day', 'month')", name="period"), nullable=False),
    Column("begins", Date, nullable=False),
    Column("calls", BigInteger, nullable=False, server_default="0"),
    Column("bytes", BigInteger, nullable=False, server_default="0"),
    PrimaryKeyConstraint("integration_id", "period", "begins"),
    # Written with every call of such an integration; no index on what changes, so that updates stay on their page.
    postgresql_with={"fillfactor": 50},
)

#: Operations that are executed at times of the clock.
execution_schedule = Table(
    "execution_schedule",
    metadata,
    id_column(primary_key=True),
    id_column("tenant_id"),
    id_column("integration_id"),
    Column("name", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("input", JSON, nullable=False, server_default="{}"),
    # One of the two: a cron expression in a time zone, or seconds between two starts.
    Column("cron", Text),
    Column("timezone", Text, nullable=False, server_default="UTC"),
    Column("every_seconds", Double),
    # What happens when the one before has not finished: `skip` or `allow`.
    Column("overlap", Text, CheckConstraint("overlap IN ('skip', 'allow')", name="overlap"), nullable=False),
    Column("paused", Boolean, nullable=False, server_default="false"),
    # None while it is paused or has no further time.
    Column("next_at", Timestamp),
    Column("last_at", Timestamp),
    Column("last_execution_id", Uuid),
    Column("created_by", Uuid),
    Column("version", Integer, nullable=False, server_default="1"),
    created_at(),
    Column("updated_at", Timestamp, nullable=False, server_default=sql("now()")),
    UniqueConstraint("tenant_id", "name"),
    ForeignKeyConstraint(["integration_id"], ["hub.integration.id"], ondelete="CASCADE"),
    Index(None, "tenant_id", "id"),
    Index(None, "integration_id"),
    Index("execution_schedule_next_idx", "next_at", postgresql_where=sql("next_at IS NOT NULL")),
)
