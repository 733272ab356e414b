"""Every query of incoming webhooks. Those for people take the tenant's scope; those for receiving serve all tenants."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Row, delete, insert, select, text, update

from hub.core.errors import NotFound
from hub.core.ids import Kind, format_id
from hub.db.tenant_rows import change_row, find_row, newest_first
from hub.sources.models import inbound, source

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

# -- sources: for people ----------------------------------------------------------------------------------------------


def insert_source(conn: Connection, values: dict[str, Any]) -> Row[Any]:
    """Write a source and return it."""
    return conn.execute(insert(source).values(values).returning(source)).one()


def find_source(
    conn: Connection, tenant_id: uuid.UUID, source_id: uuid.UUID, *, lock: bool = False
) -> Row[Any]:
    """One source of the tenant. Served by source_pkey.

    Raises:
        NotFound: the tenant has no such source.
    """
    return find_row(conn, source, tenant_id, source_id, Kind.SOURCE, lock=lock)


def list_sources(
    conn: Connection, tenant_id: uuid.UUID, *, after: uuid.UUID | None, limit: int
) -> Sequence[Row[Any]]:
    """The tenant's sources, newest first. Served by source_tenant_id_id_idx."""
    own = select(source).where(source.c.tenant_id == tenant_id)
    return conn.execute(newest_first(own, source.c.id, after=after, limit=limit)).all()


def update_source(
    conn: Connection, tenant_id: uuid.UUID, source_id: uuid.UUID, values: dict[str, Any]
) -> Row[Any]:
    """Change a source and return it; its version goes up. Served by source_pkey."""
    return change_row(conn, source, tenant_id, source_id, values)


def delete_source(conn: Connection, tenant_id: uuid.UUID, source_id: uuid.UUID) -> None:
    """Remove a source. Served by source_pkey. What it received goes with its day's partition."""
    conn.execute(delete(source).where(source.c.id == source_id, source.c.tenant_id == tenant_id))


# -- sources: for receiving -------------------------------------------------------------------------------------------


def source_versions(conn: Connection, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, int]:
    """The versions of those of these sources that exist. Served by source_pkey."""
    rows = conn.execute(
        text("SELECT id, version FROM hub.source WHERE id = ANY (CAST(:ids AS uuid[]))"), {"ids": list(ids)}
    )
    return {row.id: row.version for row in rows}


def load_sources(conn: Connection, ids: Collection[uuid.UUID]) -> Sequence[Row[Any]]:
    """These sources, of any tenants. Served by source_pkey."""
    return conn.execute(select(source).where(source.c.id.in_(ids))).all()


# -- requests: for receiving ------------------------------------------------------------------------------------------


class NewKey(msgspec.Struct):
    """What tells a provider's event apart, as it is claimed."""

    source_id: uuid.UUID
    key: bytes
    message_id: uuid.UUID
    window: int


def claim_keys(conn: Connection, keys: Sequence[NewKey]) -> set[tuple[uuid.UUID, bytes]]:
    """Claim keys that were never seen, or are forgotten by now. Served by inbound_key_pkey.

    A claim waits for a transaction that holds the same key. The order of the rows is the order of the waits, so two
    batches with common keys do not wait for each other.

    Args:
        conn: a connection inside the transaction that writes the events.
        keys: no two alike.

    Returns:
        Those that are new.
    """
    rows = conn.execute(
        text(
            "INSERT INTO hub.inbound_key AS k (source_id, key, message_id, expires_at)"
            " SELECT source_id, decode(key, 'base64'), message_id, now() + make_interval(secs => \"window\")"
            " FROM json_to_recordset(CAST(:rows AS json))"
            ' AS r(source_id uuid, key text, message_id uuid, "window" int)'
            " ORDER BY 1, 2"
            " ON CONFLICT (source_id, key) DO UPDATE"
            " SET message_id = excluded.message_id, expires_at = excluded.expires_at WHERE k.expires_at <= now()"
            " RETURNING k.source_id, k.key"
        ),
        {"rows": msgspec.json.encode(keys).decode()},
    )
    return {(row.source_id, bytes(row.key)) for row in rows}


def find_claimed(
    conn: Connection, keys: Collection[tuple[uuid.UUID, bytes]]
) -> dict[tuple[uuid.UUID, bytes], uuid.UUID]:
    """The events under keys that were seen before. Served by inbound_key_pkey."""
    sources, digests = zip(*keys, strict=True)
    rows = conn.execute(
        text(
            "SELECT k.source_id, k.key, k.message_id"
            " FROM unnest(CAST(:sources AS uuid[]), CAST(:keys AS bytea[])) AS wanted (source_id, key)"
            " JOIN hub.inbound_key k USING (source_id, key)"
        ),
        {"sources": list(sources), "keys": list(digests)},
    )
    return {(row.source_id, bytes(row.key)): row.message_id for row in rows}


class NewInbound(msgspec.Struct, omit_defaults=True):
    """A request as it is written."""

    id: uuid.UUID
    tenant_id: uuid.UUID
    source_id: uuid.UUID
    received_at: datetime
    method: str
    path: str
    query: str
    peer: str | None
    headers: dict[str, str]
    body: bytes | None
    body_bytes: int
    outcome: str
    reason: str
    detail: str
    event_id: str | None = None
    event_type: str | None = None
    message_id: uuid.UUID | None = None


def insert_inbound(conn: Connection, rows: Sequence[NewInbound]) -> None:
    """Write requests: one statement for any number."""
    conn.execute(
        text(
            "INSERT INTO hub.inbound (id, tenant_id, source_id, received_at, method, path, query, peer, headers, body,"
            " body_bytes, outcome, reason, detail, event_id, event_type, message_id)"
            " SELECT id, tenant_id, source_id, received_at, method, path, query, peer, headers, decode(body, 'base64'),"
            " body_bytes, outcome, reason, detail, event_id, event_type, message_id"
            " FROM json_to_recordset(CAST(:rows AS json))"
            " AS r(id uuid, tenant_id uuid, source_id uuid, received_at timestamptz, method text, path text,"
            " query text, peer text, headers json, body text, body_bytes int, outcome text, reason text, detail text,"
            " event_id text, event_type text, message_id uuid)"
        ),
        {"rows": msgspec.json.encode(rows).decode()},
    )


def trim_inbound(conn: Connection, kinds: Collection[tuple[uuid.UUID, str]], *, keep: int) -> int:
    """Delete all but the newest requests of (source id, outcome) pairs. Served by inbound_source_id_outcome_id_idx.

    Another process may be trimming the same ones: its rows are passed over, not waited for.

    Returns:
        How many were deleted.
    """
    sources, outcomes = zip(*kinds, strict=True)
    return conn.execute(
        text(
            "DELETE FROM hub.inbound WHERE id IN (SELECT id FROM hub.inbound WHERE id IN ("
            " SELECT old.id FROM unnest(CAST(:sources AS uuid[]), CAST(:outcomes AS text[])) AS k (source_id, outcome)"
            " CROSS JOIN LATERAL ("
            "  SELECT i.id FROM hub.inbound i WHERE i.source_id = k.source_id AND i.outcome = k.outcome"
            "  AND i.outcome <> 'accepted' ORDER BY i.id DESC OFFSET :keep"
            " ) AS old) FOR UPDATE SKIP LOCKED)"
        ),
        {"sources": list(sources), "outcomes": list(outcomes), "keep": keep},
    ).rowcount


def settle_inbound(conn: Connection, request_id: uuid.UUID, values: dict[str, Any]) -> None:
    """Write what a replay made of a request. Served by inbound_pkey."""
    conn.execute(update(inbound).where(inbound.c.id == request_id).values(values))


def prune_inbound_keys(conn: Connection, *, limit: int = 10_000) -> int:
    """Forget keys whose window has passed, oldest first. Served by inbound_key_expires_at_idx.

    Returns:
        How many; fewer than `limit` means that none is left.
    """
    return conn.execute(
        text(
            "DELETE FROM hub.inbound_key WHERE (source_id, key) IN"
            " (SELECT source_id, key FROM hub.inbound_key WHERE expires_at <= now()"
            " ORDER BY expires_at LIMIT :limit FOR UPDATE SKIP LOCKED)"
        ),
        {"limit": limit},
    ).rowcount


# -- requests: for people ---------------------------------------------------------------------------------------------


def list_inbound(
    conn: Connection,
    tenant_id: uuid.UUID,
    source_id: uuid.UUID,
    *,
    outcome: str | None,
    after: uuid.UUID | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Requests of a source, newest first, without headers and bodies.

    Served by inbound_source_id_id_idx, or by inbound_source_id_outcome_id_idx for those that were not accepted.
    """
    shown = [column for column in inbound.c if column.name not in {"headers", "body"}]
    query = select(*shown).where(inbound.c.source_id == source_id, inbound.c.tenant_id == tenant_id)
    if outcome is not None:
        query = query.where(inbound.c.outcome == outcome)
        if outcome != "accepted":  # said again, so that the partial index is seen to fit
            query = query.where(inbound.c.outcome != text("'accepted'"))
    return conn.execute(newest_first(query, inbound.c.id, after=after, limit=limit)).all()


def find_inbound(
    conn: Connection, tenant_id: uuid.UUID, source_id: uuid.UUID, request_id: uuid.UUID, *, lock: bool = False
) -> Row[Any]:
    """One request with everything. Served by inbound_pkey.

    Raises:
        NotFound: the source received no such request, or it is no longer kept.
    """
    query = select(inbound).where(
        inbound.c.id == request_id, inbound.c.source_id == source_id, inbound.c.tenant_id == tenant_id
    )
    row = conn.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFound(f"There is no request {format_id(Kind.RECEIPT, request_id)} of this source.")
    return row
