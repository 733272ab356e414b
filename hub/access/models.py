"""Tables of access. An API key's secret is not in them, only its SHA-256."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from hub.db.schema import Timestamp, created_at, id_column, metadata

tenant = Table(
    "tenant",
    metadata,
    id_column(primary_key=True),
    Column("name", Text, nullable=False),
    # Raised by every change of a tenant's set-up, so that workers can keep what they loaded until it moves.
    Column("config_version", BigInteger, nullable=False, server_default="1"),
    created_at(),
    UniqueConstraint("name"),
)

api_key = Table(
    "api_key",
    metadata,
    id_column(primary_key=True),
    Column("tenant_id", Uuid, ForeignKey(tenant.c.id, ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    # Names that integrations' access rules may let in.
    Column("roles", ARRAY(Text), nullable=False, server_default="{}"),
    created_at(),
    Column("expires_at", Timestamp),
    Column("revoked_at", Timestamp),
    Column("last_used_at", Timestamp),
    CheckConstraint("octet_length(secret_hash) = 32", name="secret_hash"),
    Index(None, "tenant_id"),
)

idempotency_key = Table(
    "idempotency_key",
    metadata,
    # No foreign key: the tenant was authenticated a moment ago, and rows live for a day. Its check would lock
    # the tenant's row once for every publish.
    Column("tenant_id", Uuid, nullable=False),
    Column("scope", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("body_hash", LargeBinary, nullable=False),
    Column("resource_id", Uuid),
    Column("response", JSONB),
    Column("status", Integer),
    created_at(),
    PrimaryKeyConstraint("tenant_id", "scope", "key"),
    # Pruning deletes the oldest first.
    Index(None, "created_at"),
)

#: Who changed what, and what was refused. No foreign key: it outlives what it tells of.
audit_entry = Table(
    "audit_entry",
    metadata,
    id_column(primary_key=True),
    id_column("tenant_id"),
    # The API key; None: an operator at the command line, or the hub itself.
    Column("actor", Uuid),
    # `<noun>.<what happened>`, such as integration.changed.
    Column("action", Text, nullable=False),
    # The public id of what it happened to.
    Column("subject", Text, nullable=False),
    Column("details", JSONB, nullable=False, server_default="{}"),
    Index(None, "tenant_id", "id"),
    Index(None, "tenant_id", "subject", "id"),
)
