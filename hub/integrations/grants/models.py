"""Tables of grants: what providers have granted, and what people have been asked to grant."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from hub.db.schema import Timestamp, created_at, id_column, metadata

#: What a provider has granted for one integration. The tokens are in the vault.
integration_grant = Table(
    "integration_grant",
    metadata,
    id_column("integration_id", primary_key=True),
    id_column("tenant_id"),
    Column(
        "state",
        Text,
        CheckConstraint("state IN ('none', 'active', 'needs_reauth')", name="state"),
        nullable=False,
        server_default="none",
    ),
    Column("access_secret_id", Uuid),
    Column("refresh_secret_id", Uuid),
    # Fingerprint of the settings that the tokens belong to; with others they are not used.
    Column("basis", Text, nullable=False, server_default=""),
    Column("obtained_at", Timestamp),
    # None: until the service refuses the token.
    Column("expires_at", Timestamp),
    Column("refresh_at", Timestamp),
    Column("scopes", ARRAY(Text), nullable=False, server_default="{}"),
    Column("metadata", JSONB, nullable=False, server_default="{}"),
    # Counts stored tokens; the one that the service has refused (401), for which a renewal was forced.
    Column("version", Integer, nullable=False, server_default="0"),
    Column("rejected_version", Integer),
    # A renewal under way. The fence counts the leases: only the newest may say how it ended.
    Column("lease_owner", Text),
    Column("lease_until", Timestamp),
    Column("fence", BigInteger, nullable=False, server_default="0"),
    # Written before the question is sent, removed with its answer: one that stays tells of a crash between.
    Column("intent_at", Timestamp),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("not_before", Timestamp),
    Column("last_error", Text),
    # Fingerprint of all settings and secrets that the provider refused: with others it is asked again.
    Column("refused_with", Text),
    Column("updated_at", Timestamp, nullable=False, server_default=sql("now()")),
    ForeignKeyConstraint(["integration_id"], ["hub.integration.id"], ondelete="CASCADE"),
)

#: A person was sent to a provider and has not come back yet.
authorization_request = Table(
    "authorization_request",
    metadata,
    id_column(primary_key=True),
    id_column("tenant_id"),
    id_column("integration_id"),
    # The hash of `state`; None for a device, which the provider does not send back.
    Column("state_hash", LargeBinary),
    # In the vault: the PKCE verifier, or the device code.
    Column("secret_id", Uuid, nullable=False),
    Column("basis", Text, nullable=False),
    # The API key that sent the person.
    Column("started_by", Uuid),
    Column("redirect_uri", Text),
    Column("return_url", Text),
    Column("interval_seconds", Integer),
    Column("next_poll_at", Timestamp),
    Column("expires_at", Timestamp, nullable=False),
    created_at(),
    UniqueConstraint("state_hash"),
    ForeignKeyConstraint(["integration_id"], ["hub.integration.id"], ondelete="CASCADE"),
    Index(None, "expires_at"),
    Index(None, "integration_id"),
)
