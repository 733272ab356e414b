"""Tables of the catalogue of event types."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB

from hub.db.schema import Timestamp, created_at, id_column, metadata

#: A kind of event that a tenant publishes.
event_type = Table(
    "event_type",
    metadata,
    id_column(primary_key=True),
    id_column("tenant_id"),
    # As in `type` of an event: `invoice.paid`.
    Column("name", Text, nullable=False),
    Column("title", Text, nullable=False, server_default=""),
    Column("description", Text, nullable=False, server_default=""),
    Column("labels", ARRAY(Text), nullable=False, server_default="{}"),
    Column("deprecated", Boolean, nullable=False, server_default="false"),
    Column(
        "validation",
        Text,
        CheckConstraint("validation IN ('off', 'warn', 'enforce')", name="validation"),
        nullable=False,
        server_default="off",
    ),
    # As an endpoint's; None: the tenant's holds.
    Column("retry_policy", JSONB(none_as_null=True)),
    # The newest version of its schema; None while it has none.
    Column("current_version", Integer),
    # Archived types are unknown to publishers; their versions stay readable.
    Column("archived_at", Timestamp),
    Column("created_by", Uuid),
    created_at(),
    Column("updated_at", Timestamp, nullable=False, server_default=sql("now()")),
    UniqueConstraint("tenant_id", "name"),
    Index(None, "tenant_id", "id"),
)

#: One version of a type's schema; written once, never changed.
event_type_version = Table(
    "event_type_version",
    metadata,
    Column("event_type_id", Uuid, ForeignKey(event_type.c.id, ondelete="CASCADE"), nullable=False),
    id_column("tenant_id"),
    # 1, 2, 3 … without gaps.
    Column("version", Integer, nullable=False),
    # For the cursor of its list.
    id_column(),
    # json, not jsonb: people get their schema back with its keys in their order.
    Column("schema", JSON(none_as_null=False), nullable=False),
    # SQL null: none was given.
    Column("example", JSON(none_as_null=True)),
    # What this version breaks against the one before.
    Column("breaking_changes", JSON, nullable=False),
    Column("created_by", Uuid),
    created_at(),
    PrimaryKeyConstraint("event_type_id", "version"),
)

#: A tenant's choices; a tenant without a row has the defaults.
catalogue_setting = Table(
    "catalogue_setting",
    metadata,
    id_column("tenant_id", primary_key=True),
    Column(
        "unknown_event_types",
        Text,
        CheckConstraint("unknown_event_types IN ('allow', 'warn', 'enforce')", name="unknown_event_types"),
        nullable=False,
        server_default="allow",
    ),
    # As an endpoint's, for all event types; None: the deployment's holds.
    Column("retry_policy", JSONB(none_as_null=True)),
    Column("updated_at", Timestamp, nullable=False, server_default=sql("now()")),
)
