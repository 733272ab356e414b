"""Tables of incoming webhooks. No secret is in them: those are in the vault."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB

from hub.db.schema import Timestamp, created_at, id_column, metadata

#: One provider's way in: who may call, how that is verified, what becomes of it.
source = Table(
    "source",
    metadata,
    id_column(primary_key=True),
    id_column("tenant_id"),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("verifier", JSONB, nullable=False),
    # [{"id": uuid of a secret, "expires_at": Unix seconds or null}], the current ones first.
    Column("secrets", JSONB, nullable=False, server_default="[]"),
    # Template of the event's type.
    Column("event_type", Text, nullable=False),
    Column(
        "dedupe_by",
        Text,
        CheckConstraint("dedupe_by IN ('id', 'body')", name="dedupe_by"),
        nullable=False,
        server_default="id",
    ),
    Column("dedupe_window_seconds", Integer, nullable=False),
    Column("ip_allow_list", ARRAY(Text), nullable=False, server_default="{}"),
    # What a provider is answered: {"status", "body", "content_type"}.
    Column("response", JSONB, nullable=False),
    Column("metadata", JSONB, nullable=False, server_default="{}"),
    Column(
        "status",
        Text,
        CheckConstraint("status IN ('active', 'paused')", name="status"),
        nullable=False,
        server_default="active",
    ),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_by", Uuid),
    created_at(),
    Column("updated_at", Timestamp, nullable=False, server_default=sql("now()")),
    UniqueConstraint("tenant_id", "name"),
    Index(None, "tenant_id", "id"),
)

#: One request of a provider, as it came.
inbound = Table(
    "inbound",
    metadata,
    id_column(primary_key=True),
    id_column("tenant_id"),
    id_column("source_id"),
    Column("received_at", Timestamp, nullable=False),
    Column("method", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("query", Text, nullable=False, server_default=""),
    Column("peer", Text),
    # Names in lower case; the values of those that are credentials are masked.
    Column("headers", JSON, nullable=False),
    # The bytes; none for a repeat and for a large request that was not verified.
    Column("body", LargeBinary),
    Column("body_bytes", Integer, nullable=False),
    Column(
        "outcome",
        Text,
        CheckConstraint("outcome IN ('accepted', 'duplicate', 'handshake', 'rejected')", name="outcome"),
        nullable=False,
    ),
    # The verdict: one word for programs, a sentence for people.
    Column("reason", Text, nullable=False, server_default=""),
    Column("detail", Text, nullable=False, server_default=""),
    # The provider's id and type of the event.
    Column("event_id", Text),
    Column("event_type", Text),
    # The event that was made; for a repeat that of the first.
    Column("message_id", Uuid),
    Index(None, "source_id", "id"),
    # Of these only the newest are kept.
    Index(
        "inbound_source_id_outcome_id_idx",
        "source_id",
        "outcome",
        "id",
        postgresql_where=sql("outcome <> 'accepted'"),
    ),
    postgresql_partition_by="RANGE (id)",
)

#: Which of a provider's events were seen, until they are forgotten.
inbound_key = Table(
    "inbound_key",
    metadata,
    id_column("source_id"),
    # SHA-256 of what tells the provider's events apart.
    Column("key", LargeBinary, nullable=False),
    Column("message_id", Uuid, nullable=False),
    Column("expires_at", Timestamp, nullable=False),
    PrimaryKeyConstraint("source_id", "key"),
    # Pruning deletes what expired first.
    Index(None, "expires_at"),
)
