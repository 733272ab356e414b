"""Tables of integrations: the registry, executions, and the counters of the calls made."""

from __future__ import annotations

from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
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
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB

from hub.db.models import ledger_columns, ledger_indexes
from hub.db.schema import Timestamp, created_at, id_column, metadata
from hub.integrations.metrics import BOUNDS_MS, column_of

#: How one outside API is called.
integration = Table(
    "integration",
    metadata,
    id_column(primary_key=True),
    id_column("tenant_id"),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column(
        "type", Text, CheckConstraint("type IN ('api')", name="type"), nullable=False, server_default="api"
    ),
    Column(
        "protocol",
        Text,
        CheckConstraint("protocol IN ('rest')", name="protocol"),
        nullable=False,
        server_default="rest",
    ),
    Column("base_url", Text, nullable=False),
    # The mode and its parameters; what is secret is in the vault, under the ids of `secret_ids`.
    Column("auth", JSONB, nullable=False, server_default=sql("""'{"mode": "none"}'""")),
    Column("secret_ids", JSONB, nullable=False, server_default="{}"),
    Column("headers", JSONB, nullable=False, server_default="{}"),
    Column("timeout_seconds", REAL, nullable=False, server_default="30"),
    Column("follow_redirects", SmallInteger, nullable=False, server_default="0"),
    Column("retry_policy", JSONB, nullable=False, server_default="{}"),
    Column("operations", JSONB, nullable=False, server_default="{}"),
    Column("health_check", JSONB),
    # None while nothing is to be checked; moved on by the start of each check.
    Column("next_check_at", Timestamp),
    Column(
        "status",
        Text,
        CheckConstraint("status IN ('active', 'inactive', 'maintenance', 'deprecated')", name="status"),
        nullable=False,
        server_default="active",
    ),
    Column("tags", ARRAY(Text), nullable=False, server_default="{}"),
    Column("version", Integer, nullable=False, server_default="1"),
    # The API key that made it.
    Column("created_by", Uuid),
    created_at(),
    Column("updated_at", Timestamp, nullable=False, server_default=sql("now()")),
    UniqueConstraint("tenant_id", "name"),
    Index(None, "tenant_id", "id"),
    Index("integration_next_check_idx", "next_check_at", postgresql_where=sql("next_check_at IS NOT NULL")),
)

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
    # Which door it came through: http, celery, sql.
    Column("source", Text, nullable=False),
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
    Column("latency_ms", REAL),
    Column("data_size", Integer),
    *ledger_indexes("execution"),
    Index(None, "tenant_id", "id"),
    Index(None, "integration_id", "id"),
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
