"""Every query of idempotency keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import text

from hub.access.idempotency import Claim, Fresh, IdempotencyKeyReused, Replay, settle_repeat

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime
    from typing import Any
    from uuid import UUID

    from sqlalchemy import Connection

    #: Tenant, scope and key: what makes two claims the same.
    Identity = tuple[UUID, str, str]


def claim_many(conn: Connection, claims: Sequence[Claim]) -> list[Fresh | Replay | IdempotencyKeyReused]:
    """Claim idempotency keys in one statement; a second one runs only when some were used before.

    A claim waits for a transaction that holds the same key and then sees its answer. Within the batch the
    first claim of a key wins, and its repetitions get what it brought. Served by idempotency_key_pkey.

    Args:
        conn: a connection inside the transaction that does the work: claim and work commit together.
        claims: those of the requests that are committed together.

    Returns:
        For each claim, in order: Fresh, the answer to repeat, or the error to answer with.
    """
    first: dict[Identity, Claim] = {}
    for claim in claims:
        first.setdefault((claim.tenant_id, claim.scope, claim.key), claim)
    fresh: set[Identity] = set()
    stored: dict[Identity, Claim] = {}
    # More than one round only when pruning deletes a row between the two statements.
    while unsettled := [claim for identity, claim in first.items() if identity not in fresh | stored.keys()]:
        fresh |= _insert_claims(conn, unsettled)
        if used := first.keys() - fresh - stored.keys():
            stored |= _load_claims(conn, used)

    outcomes: list[Fresh | Replay | IdempotencyKeyReused] = []
    for claim in claims:
        identity = (claim.tenant_id, claim.scope, claim.key)
        if identity in fresh:
            fresh.remove(identity)
            outcomes.append(Fresh())
        else:
            outcomes.append(settle_repeat(stored.get(identity, first[identity]), claim))
    return outcomes


def claim_key(conn: Connection, tenant_id: UUID, scope: str, key: str, body_hash: bytes) -> Fresh | Replay:
    """Claim one idempotency key (see `claim_many`); `finish_key` adds the answer before the commit.

    Raises:
        IdempotencyKeyReused: the key was used with another body.
    """
    outcome = claim_many(conn, [Claim(tenant_id, scope, key, body_hash)])[0]
    if isinstance(outcome, IdempotencyKeyReused):
        raise outcome
    return outcome


def finish_key(
    conn: Connection,
    tenant_id: UUID,
    scope: str,
    key: str,
    *,
    status: int,
    response: Any,
    resource_id: UUID | None,
) -> None:
    """Keep the answer under its key. Served by idempotency_key_pkey."""
    conn.execute(
        text(
            "UPDATE hub.idempotency_key SET status = :status, response = CAST(:response AS jsonb),"
            " resource_id = :resource_id WHERE tenant_id = :tenant_id AND scope = :scope AND key = :key"
        ),
        {
            "status": status,
            "response": json.dumps(response),
            "resource_id": resource_id,
            "tenant_id": tenant_id,
            "scope": scope,
            "key": key,
        },
    )


def prune_keys(conn: Connection, older_than: datetime, *, limit: int = 10_000) -> int:
    """Delete keys claimed before a moment, oldest first. Served by idempotency_key_created_at_idx.

    Returns:
        How many were deleted; fewer than `limit` means that none is left.
    """
    return conn.execute(
        text(
            "DELETE FROM hub.idempotency_key WHERE (tenant_id, scope, key) IN"
            " (SELECT tenant_id, scope, key FROM hub.idempotency_key WHERE created_at < :older_than"
            " ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED)"
        ),
        {"older_than": older_than, "limit": limit},
    ).rowcount


def _insert_claims(conn: Connection, claims: Sequence[Claim]) -> set[Identity]:
    """Write the claims whose keys are free; which those were. Served by idempotency_key_pkey.

    The order of the rows is the order of the waits: two batches with common keys must not wait for each
    other.
    """
    rows = conn.execute(
        text(
            "INSERT INTO hub.idempotency_key"
            " (tenant_id, scope, key, body_hash, resource_id, status, response)"
            " SELECT tenant_id, scope, key, body_hash, resource_id, status, CAST(response AS jsonb)"
            " FROM unnest(CAST(:tenants AS uuid[]), CAST(:scopes AS text[]), CAST(:keys AS text[]),"
            " CAST(:hashes AS bytea[]), CAST(:resources AS uuid[]), CAST(:statuses AS int[]),"
            " CAST(:responses AS text[]))"
            " AS claim (tenant_id, scope, key, body_hash, resource_id, status, response)"
            " ORDER BY tenant_id, scope, key"
            " ON CONFLICT (tenant_id, scope, key) DO NOTHING RETURNING tenant_id, scope, key"
        ),
        {
            "tenants": [claim.tenant_id for claim in claims],
            "scopes": [claim.scope for claim in claims],
            "keys": [claim.key for claim in claims],
            "hashes": [claim.body_hash for claim in claims],
            "resources": [claim.resource_id for claim in claims],
            "statuses": [claim.status for claim in claims],
            "responses": [None if claim.status is None else json.dumps(claim.response) for claim in claims],
        },
    )
    return {(row.tenant_id, row.scope, row.key) for row in rows}


def _load_claims(conn: Connection, identities: Collection[Identity]) -> dict[Identity, Claim]:
    """What is stored under these keys. Served by idempotency_key_pkey."""
    tenants, scopes, keys = zip(*identities, strict=True)
    rows = conn.execute(
        text(
            "SELECT k.tenant_id, k.scope, k.key, k.body_hash, k.resource_id, k.status, k.response"
            " FROM unnest(CAST(:tenants AS uuid[]), CAST(:scopes AS text[]), CAST(:keys AS text[]))"
            " AS wanted (tenant_id, scope, key)"
            " JOIN hub.idempotency_key k USING (tenant_id, scope, key)"
        ),
        {"tenants": list(tenants), "scopes": list(scopes), "keys": list(keys)},
    )
    return {(row.tenant_id, row.scope, row.key): Claim(*row) for row in rows}
