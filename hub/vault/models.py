"""Tables of the vault. Without a key of the ring only `last4` and `fingerprint` are readable."""

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
    Uuid,
)

from hub.db.schema import created_at, id_column, metadata

secret = Table(
    "secret",
    metadata,
    id_column(primary_key=True),
    # No foreign key: the tenant belongs to another room, and its id is inside the ciphertext's associated
    # data.
    Column("tenant_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("kek_id", Text, nullable=False),
    Column("wrapped_key", LargeBinary, nullable=False),
    # The data key under the key before, from a rotation until `hub keys retire`: a process that has not been
    # given the new key yet goes on reading.
    Column("previous_kek_id", Text),
    Column("previous_wrapped_key", LargeBinary),
    Column("nonce", LargeBinary, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("last4", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    created_at(),
    CheckConstraint("(previous_kek_id IS NULL) = (previous_wrapped_key IS NULL)", name="previous"),
    # Rotation finds the rows of a key; the start-up check groups by both columns from the index alone.
    Index(None, "kek_id", "previous_kek_id"),
)

vault_canary = Table(
    "vault_canary",
    metadata,
    Column("kek_id", Text, nullable=False),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    created_at(),
    PrimaryKeyConstraint("kek_id"),
)
