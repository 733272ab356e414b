"""Tables of outgoing webhooks."""

from __future__ import annotations

from sqlalchemy import REAL, CheckConstraint, Column, Index, Integer, Table, Text, UniqueConstraint, Uuid
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from hub.db.models import ledger_columns, ledger_indexes
from hub.db.schema import Timestamp, created_at, id_column, metadata

#: Where a tenant wants its events.
endpoint = Table(
    "endpoint",
    metadata,
    id_column(primary_key=True),
    id_column("tenant_id"),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("url", Text, nullable=False),
    # Exact types or `invoice.*`; `*` takes all.
    Column("event_types", ARRAY(Text), nullable=False),
    Column("headers", JSONB, nullable=False, server_default="{}"),
    Column("secret_id", Uuid, nullable=False),
    # None: the deployment's.
    Column("timeout_seconds", REAL),
    Column("retry_schedule", JSONB),
    Column("metadata", JSONB, nullable=False, server_default="{}"),
    Column(
        "status",
        Text,
        CheckConstraint("status IN ('active', 'paused', 'disabled')", name="status"),
        nullable=False,
        server_default="active",
    ),
    Column("status_reason", Text),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_by", Uuid),
    created_at(),
    Column("updated_at", Timestamp, nullable=False, server_default=sql("now()")),
    UniqueConstraint("tenant_id", "name"),
    Index(None, "tenant_id", "id"),
)

#: One published event. Its work is to be fanned out.
message = Table(
    "message",
    metadata,
    id_column(primary_key=True),
    id_column("tenant_id"),
    Column("type", Text, nullable=False),
    # The publisher's id; None: ours. Either is the `webhook-id`.
    Column("event_id", Text),
    # The publisher's JSON text, byte for byte: jsonb would reorder keys and round numbers.
    Column("data", Text, nullable=False),
    # Which door it came through: http, celery, sql.
    Column("source", Text, nullable=False),
    created_at(),
    *ledger_columns(),
    *ledger_indexes("message"),
    Index(None, "tenant_id", "id"),
    postgresql_partition_by="RANGE (id)",
)

#: One message on its way to one endpoint.
delivery = Table(
    "delivery",
    metadata,
    id_column(primary_key=True),
    id_column("tenant_id"),
    id_column("message_id"),
    id_column("endpoint_id"),
    created_at(),
    *ledger_columns(),
    *ledger_indexes("delivery"),
    Index(None, "message_id"),
    # None on the tenant: every index of this table is written twice for each delivery. See store.list_deliveries.
    Index(None, "endpoint_id", "id"),
    Index("delivery_held_idx", "endpoint_id", postgresql_where=sql("state = 'held'")),
    postgresql_partition_by="RANGE (id)",
)
