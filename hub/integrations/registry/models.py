"""Tables of the registry: integrations, their versions, and what was changed or refused."""

from __future__ import annotations

from sqlalchemy import (
    REAL,
    CheckConstraint,
    Column,
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
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from hub.db.schema import Timestamp, created_at, id_column, metadata
from hub.integrations.registry.kinds import PROTOCOLS, STATUSES, TYPES


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(value) for value in values)})", name=column)


#: How one outside service is called.
integration = Table(
    "integration",
    metadata,
    id_column(primary_key=True),
    id_column("tenant_id"),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("type", Text, _one_of("type", TYPES), nullable=False, server_default="api"),
    Column("protocol", Text, _one_of("protocol", PROTOCOLS), nullable=False, server_default="rest"),
    Column("base_url", Text, nullable=False),
    # The transport's own.
    Column("settings", JSONB, nullable=False, server_default="{}"),
    # The mode and its parameters; what is secret is in the vault, under the ids of `secret_ids`.
    Column("auth", JSONB, nullable=False, server_default=sql("""'{"mode": "none"}'""")),
    # A client certificate and authorities; its private key is in the vault too.
    Column("tls", JSONB),
    Column("secret_ids", JSONB, nullable=False, server_default="{}"),
    Column("headers", JSONB, nullable=False, server_default="{}"),
    Column("timeout_seconds", REAL, nullable=False, server_default="30"),
    Column("max_response_bytes", Integer, nullable=False, server_default="1048576"),
    Column("follow_redirects", SmallInteger, nullable=False, server_default="0"),
    Column("retry_policy", JSONB, nullable=False, server_default="{}"),
    Column("operations", JSONB, nullable=False, server_default="{}"),
    Column("request_transform", JSONB, nullable=False, server_default="[]"),
    Column("response_transform", JSONB, nullable=False, server_default="[]"),
    Column("error_mapping", JSONB, nullable=False, server_default="[]"),
    Column("rate_limit", JSONB, nullable=False, server_default="{}"),
    Column("caching", JSONB, nullable=False, server_default="{}"),
    Column("quota", JSONB, nullable=False, server_default="{}"),
    Column("access", JSONB, nullable=False, server_default="{}"),
    Column("data_policy", JSONB, nullable=False, server_default="{}"),
    Column("logging", JSONB, nullable=False, server_default="{}"),
    Column("health_check", JSONB),
    Column("alerts", JSONB, nullable=False, server_default="[]"),
    # None while nothing is to be checked; moved on by the start of each check.
    Column("next_check_at", Timestamp),
    Column("status", Text, _one_of("status", STATUSES), nullable=False, server_default="active"),
    Column("tags", ARRAY(Text), nullable=False, server_default="{}"),
    Column("version", Integer, nullable=False, server_default="1"),
    # When a person last connected or disconnected it.
    Column("granted_at", Timestamp),
    # The API key that made it.
    Column("created_by", Uuid),
    created_at(),
    Column("updated_at", Timestamp, nullable=False, server_default=sql("now()")),
    UniqueConstraint("tenant_id", "name"),
    Index(None, "tenant_id", "id"),
    Index("integration_next_check_idx", "next_check_at", postgresql_where=sql("next_check_at IS NOT NULL")),
    Index("integration_alerts_idx", "id", postgresql_where=sql("alerts <> '[]'")),
    Index("integration_tags_idx", "tags", postgresql_using="gin"),
)

#: Every version of a definition, as a document without secrets.
integration_version = Table(
    "integration_version",
    metadata,
    id_column("integration_id"),
    Column("version", Integer, nullable=False),
    id_column("tenant_id"),
    Column("document", JSONB, nullable=False),
    # The API key that made it; None: the hub itself.
    Column("changed_by", Uuid),
    created_at(),
    PrimaryKeyConstraint("integration_id", "version"),
    ForeignKeyConstraint(["integration_id"], ["hub.integration.id"], ondelete="CASCADE"),
)
