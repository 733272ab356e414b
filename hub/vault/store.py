"""Every query of the vault. Rows in, rows out; nothing here sees a key or a plaintext."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import text

from hub.vault.envelope import Place

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Connection

_ADVISORY_LOCK = 0x6875_6202  # "hub" 02: one process at a time decides whether the ring fits the database


class StoredSecret(NamedTuple):
    """A row as it is opened."""

    id: UUID
    tenant_id: UUID
    kind: str
    field: str
    version: int
    kek_id: str
    wrapped_key: bytes
    previous_kek_id: str | None
    previous_wrapped_key: bytes | None
    nonce: bytes
    ciphertext: bytes

    @property
    def place(self) -> Place:
        """Where the ciphertext must have been sealed for."""
        return Place(self.tenant_id, self.id, self.kind, self.field, self.version)


class NewRow(NamedTuple):
    """A row as it is written."""

    id: UUID
    tenant_id: UUID
    kind: str
    field: str
    version: int
    kek_id: str
    wrapped_key: bytes
    nonce: bytes
    ciphertext: bytes
    last4: str
    fingerprint: str


class Description(NamedTuple):
    """What may be shown of a secret; both marks are empty when it is too short to show a part of it."""

    id: UUID
    kind: str
    field: str
    version: int
    last4: str
    fingerprint: str
    created_at: datetime


class Usage(NamedTuple):
    """How many secrets are under a key, and under which key they may be read as well."""

    kek_id: str
    previous_kek_id: str | None
    secrets: int


class Canary(NamedTuple):
    """A known text, sealed under one key: proof that the key belongs to this database."""

    kek_id: str
    wrapped_key: bytes
    nonce: bytes
    ciphertext: bytes


def insert_secrets(conn: Connection, rows: Sequence[NewRow]) -> None:
    """Write new secrets in one statement, however many."""
    columns: dict[str, list[object]] = {name: [] for name in NewRow._fields}
    for row in rows:
        for name, value in zip(NewRow._fields, row, strict=True):
            columns[name].append(value)
    conn.execute(
        text(
            "INSERT INTO hub.secret (id, tenant_id, kind, field, version, kek_id, wrapped_key, nonce,"
            " ciphertext, last4, fingerprint)"
            " SELECT * FROM unnest(CAST(:id AS uuid[]), CAST(:tenant_id AS uuid[]), CAST(:kind AS text[]),"
            " CAST(:field AS text[]), CAST(:version AS int[]), CAST(:kek_id AS text[]),"
            " CAST(:wrapped_key AS bytea[]), CAST(:nonce AS bytea[]), CAST(:ciphertext AS bytea[]),"
            " CAST(:last4 AS text[]), CAST(:fingerprint AS text[]))"
        ),
        columns,
    )


def load_secrets(conn: Connection, wanted: Sequence[tuple[UUID, UUID]]) -> list[StoredSecret]:
    """The rows of (tenant id, secret id) pairs that exist, in any order. Served by secret_pkey."""
    found = conn.execute(
        text(
            "SELECT s.id, s.tenant_id, s.kind, s.field, s.version, s.kek_id, s.wrapped_key,"
            " s.previous_kek_id, s.previous_wrapped_key, s.nonce, s.ciphertext"
            " FROM unnest(CAST(:tenants AS uuid[]), CAST(:ids AS uuid[])) AS wanted (tenant_id, id)"
            " JOIN hub.secret s ON s.id = wanted.id AND s.tenant_id = wanted.tenant_id"
        ),
        {"tenants": [tenant for tenant, _ in wanted], "ids": [secret for _, secret in wanted]},
    )
    return [StoredSecret(*row) for row in found]


def describe_secrets(conn: Connection, tenant_id: UUID, ids: Collection[UUID]) -> list[Description]:
    """What may be shown of these secrets of a tenant. Served by secret_pkey."""
    found = conn.execute(
        text(
            "SELECT id, kind, field, version, last4, fingerprint, created_at FROM hub.secret"
            " WHERE id = ANY(CAST(:ids AS uuid[])) AND tenant_id = :tenant_id"
        ),
        {"ids": list(ids), "tenant_id": tenant_id},
    )
    return [Description(*row) for row in found]


def lock_secret(conn: Connection, tenant_id: UUID, secret_id: UUID) -> tuple[str, str, int] | None:
    """Lock a row until the transaction ends; its kind, field and version. Served by secret_pkey."""
    row = conn.execute(
        text(
            "SELECT kind, field, version FROM hub.secret WHERE id = :id AND tenant_id = :tenant_id FOR UPDATE"
        ),
        {"id": secret_id, "tenant_id": tenant_id},
    ).one_or_none()
    return None if row is None else (row.kind, row.field, row.version)


def overwrite_secret(conn: Connection, row: NewRow) -> None:
    """Replace the content of a locked row; the old content is gone. Served by secret_pkey."""
    conn.execute(
        text(
            "UPDATE hub.secret SET version = :version, kek_id = :kek_id, wrapped_key = :wrapped_key,"
            " previous_kek_id = NULL, previous_wrapped_key = NULL, nonce = :nonce, ciphertext = :ciphertext,"
            " last4 = :last4, fingerprint = :fingerprint WHERE id = :id AND tenant_id = :tenant_id"
        ),
        {name: value for name, value in row._asdict().items() if name not in {"kind", "field"}},
    )


def delete_secrets(conn: Connection, tenant_id: UUID, ids: Collection[UUID]) -> int:
    """Delete these secrets of a tenant; how many there were. Served by secret_pkey."""
    return conn.execute(
        text("DELETE FROM hub.secret WHERE id = ANY(CAST(:ids AS uuid[])) AND tenant_id = :tenant_id"),
        {"ids": list(ids), "tenant_id": tenant_id},
    ).rowcount


def lock_for_rewrap(
    conn: Connection, kek_ids: Sequence[str], *, limit: int, skip: Collection[UUID]
) -> list[StoredSecret]:
    """Lock some rows under these keys, passing over those held elsewhere. Served by the index on kek_id.

    Readers are not blocked: FOR UPDATE stops writers only.
    """
    found = conn.execute(
        text(
            "SELECT id, tenant_id, kind, field, version, kek_id, wrapped_key, previous_kek_id,"
            " previous_wrapped_key, nonce, ciphertext FROM hub.secret"
            " WHERE kek_id = ANY(CAST(:kek_ids AS text[])) AND id <> ALL(CAST(:skip AS uuid[]))"
            " LIMIT :limit FOR UPDATE SKIP LOCKED"
        ),
        {"kek_ids": list(kek_ids), "skip": list(skip), "limit": limit},
    )
    return [StoredSecret(*row) for row in found]


def store_rewrapped(conn: Connection, kek_id: str, wrapped: Sequence[tuple[UUID, bytes]]) -> None:
    """Put locked rows under a key; the wrap under the key before stays beside it. Served by secret_pkey."""
    conn.execute(
        text(
            "UPDATE hub.secret s SET kek_id = :kek_id, wrapped_key = new.wrapped_key,"
            " previous_kek_id = s.kek_id, previous_wrapped_key = s.wrapped_key"
            " FROM unnest(CAST(:ids AS uuid[]), CAST(:wrapped AS bytea[])) AS new (id, wrapped_key)"
            " WHERE s.id = new.id"
        ),
        {"kek_id": kek_id, "ids": [i for i, _ in wrapped], "wrapped": [w for _, w in wrapped]},
    )


def count_under(conn: Connection, kek_ids: Sequence[str]) -> int:
    """How many secrets are under these keys. Served by the index on kek_id."""
    return (
        conn.scalar(
            text("SELECT count(*) FROM hub.secret WHERE kek_id = ANY(CAST(:kek_ids AS text[]))"),
            {"kek_ids": list(kek_ids)},
        )
        or 0
    )


def drop_previous(conn: Connection, kek_id: str, *, limit: int) -> int:
    """Close some rows of a key to the key before. Served by the index on (kek_id, previous_kek_id)."""
    return conn.execute(
        text(
            "UPDATE hub.secret SET previous_kek_id = NULL, previous_wrapped_key = NULL WHERE id IN"
            " (SELECT id FROM hub.secret WHERE kek_id = :kek_id AND previous_kek_id IS NOT NULL"
            " LIMIT :limit FOR UPDATE SKIP LOCKED)"
        ),
        {"kek_id": kek_id, "limit": limit},
    ).rowcount


def usage(conn: Connection) -> list[Usage]:
    """Secrets counted by key. An index-only scan of (kek_id, previous_kek_id); run at start, not in calls."""
    found = conn.execute(
        text(
            "SELECT kek_id, previous_kek_id, count(*) FROM hub.secret GROUP BY 1, 2 ORDER BY 1, 2 NULLS FIRST"
        )
    )
    return [Usage(*row) for row in found]


def lock_canaries(conn: Connection) -> list[Canary]:
    """Let one process at a time check the ring; the canaries of all keys, a handful of rows."""
    conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    found = conn.execute(
        text("SELECT kek_id, wrapped_key, nonce, ciphertext FROM hub.vault_canary ORDER BY created_at")
    )
    return [Canary(*row) for row in found]


def insert_canary(conn: Connection, canary: Canary) -> None:
    """Write the canary of a key. Served by vault_canary_pkey."""
    conn.execute(
        text(
            "INSERT INTO hub.vault_canary (kek_id, wrapped_key, nonce, ciphertext)"
            " VALUES (:kek_id, :wrapped_key, :nonce, :ciphertext)"
        ),
        canary._asdict(),
    )


def delete_canaries_except(conn: Connection, kek_id: str) -> None:
    """Forget the canaries of all keys but one, the only one left in use. A handful of rows."""
    conn.execute(text("DELETE FROM hub.vault_canary WHERE kek_id <> :kek_id"), {"kek_id": kek_id})
