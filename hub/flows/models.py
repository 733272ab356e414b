"""The table of flows."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from hub.db.schema import Timestamp, created_at, id_column, metadata

#: Which events start which operation.
flow = Table(
    "flow",
    metadata,
    id_column(primary_key=True),
    id_column("tenant_id"),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    # Exact types or `invoice.*`; `*` takes all.
    Column("event_types", ARRAY(Text), nullable=False),
    Column("labels", ARRAY(Text), nullable=False, server_default="{}"),
    Column("filter", JSONB(none_as_null=True)),
    id_column("integration_id"),
    Column("operation", Text, nullable=False),
    # Steps that make the operation's input of the event.
    Column("mapping", JSONB, nullable=False, server_default="[]"),
    # What is published when the operation has ended: rules of `on`, `event_type` and `mapping`.
    Column("publish", JSONB, nullable=False, server_default="[]"),
    Column("paused", Boolean, nullable=False, server_default="false"),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_by", Uuid),
    created_at(),
    Column("updated_at", Timestamp, nullable=False, server_default=sql("now()")),
    UniqueConstraint("tenant_id", "name"),
    ForeignKeyConstraint(["integration_id"], ["hub.integration.id"], ondelete="CASCADE"),
    Index(None, "tenant_id", "id"),
    Index(None, "integration_id"),
)
