"""Every query of access: tenants, API keys, idempotency keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, insert, select, text, update

from hub.access.idempotency import Claim, Fresh, IdempotencyKeyReused, Replay, settle_repeat
from hub.access.models import api_key
from hub.core.errors import Conflict, NotFound
from hub.core.ids import Kind, format_id

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime, timedelta
    from typing import Any
    from uuid import UUID

    from sqlalchemy import Connection

    #: Tenant, scope and key: what makes two claims the same.
    Identity = tuple[UUID, str, str]


class Tenant(NamedTuple):
    """A tenant's row."""

    id: UUID
    name: str
    config_version: int
    created_at: datetime


class ApiKey(NamedTuple):
    """An API key's row; its secret is not in it."""

    id: UUID
    tenant_id: UUID
    name: str
    secret_hash: bytes
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


_KEY_COLUMNS = [api_key.c[name] for name in ApiKey._fields]


def create_tenant(conn: Connection, tenant_id: UUID, name: str) -> Tenant:
    """Write a tenant. Served by tenant_name_key.

    Raises:
        Conflict: the name is taken.
    """
    row = conn.execute(
        text(
            "INSERT INTO hub.tenant (id, name) VALUES (:id, :name) ON CONFLICT (name) DO NOTHING"
            " RETURNING id, name, config_version, created_at"
        ),
        {"id": tenant_id, "name": name},
    ).one_or_none()
    if row is None:
        raise Conflict(f"There is a tenant {name} already.")
    return Tenant(*row)


def list_tenants(conn: Connection) -> list[Tenant]:
    """All tenants by name. Served by tenant_name_key."""
    rows = conn.execute(text("SELECT id, name, config_version, created_at FROM hub.tenant ORDER BY name"))
    return [Tenant(*row) for row in rows]


def get_tenant(conn: Connection, tenant_id: UUID) -> Tenant:
    """A tenant by its id. Served by tenant_pkey.

    Raises:
        NotFound: there is none.
    """
    row = conn.execute(
        text("SELECT id, name, config_version, created_at FROM hub.tenant WHERE id = :id"), {"id": tenant_id}
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no tenant {format_id(Kind.TENANT, tenant_id)}.")
    return Tenant(*row)


def get_tenant_by_name(conn: Connection, name: str) -> Tenant:
    """A tenant by its name. Served by tenant_name_key.

    Raises:
        NotFound: there is none.
    """
    row = conn.execute(
        text("SELECT id, name, config_version, created_at FROM hub.tenant WHERE name = :name"), {"name": name}
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no tenant {name}: `hub tenants list` shows those that exist.")
    return Tenant(*row)


def bump_config_version(conn: Connection, tenant_id: UUID) -> int:
    """Tell workers that the tenant's set-up changed, in the same transaction. Served by tenant_pkey.

    Returns:
        The new version.

    Raises:
        NotFound: there is no such tenant.
    """
    version: int | None = conn.scalar(
        text(
            "UPDATE hub.tenant SET config_version = config_version + 1 WHERE id = :id"
            " RETURNING config_version"
        ),
        {"id": tenant_id},
    )
    if version is None:
        raise NotFound(f"There is no tenant {format_id(Kind.TENANT, tenant_id)}.")
    return version


def config_versions(conn: Connection, tenant_ids: Collection[UUID]) -> dict[UUID, int]:
    """The versions of tenants' set-ups, for workers that keep what they loaded. Served by tenant_pkey."""
    rows = conn.execute(
        text("SELECT id, config_version FROM hub.tenant WHERE id = ANY(CAST(:ids AS uuid[]))"),
        {"ids": list(tenant_ids)},
    )
    return {row.id: row.config_version for row in rows}


def insert_key(
    conn: Connection,
    *,
    key_id: UUID,
    tenant_id: UUID,
    name: str,
    secret_hash: bytes,
    scopes: Collection[str],
    expires_at: datetime | None,
) -> ApiKey:
    """Write an API key. The tenant must exist."""
    row = conn.execute(
        insert(api_key)
        .values(
            id=key_id,
            tenant_id=tenant_id,
            name=name,
            secret_hash=secret_hash,
            scopes=sorted(scopes),
            expires_at=expires_at,
        )
        .returning(*_KEY_COLUMNS)
    ).one()
    return ApiKey(*row)


def list_keys(conn: Connection, tenant_id: UUID) -> list[ApiKey]:
    """A tenant's keys, oldest first, revoked ones too. Served by api_key_tenant_id_idx."""
    rows = conn.execute(select(*_KEY_COLUMNS).where(api_key.c.tenant_id == tenant_id).order_by(api_key.c.id))
    return [ApiKey(*row) for row in rows]


def page_keys(conn: Connection, tenant_id: UUID, *, after: UUID | None, limit: int) -> list[ApiKey]:
    """A page of a tenant's keys, newest first, revoked ones too. Served by api_key_tenant_id_idx or api_key_pkey.

    Args:
        conn: a connection.
        tenant_id: whose.
        after: the id of the last row of the page before; None is the first page.
        limit: rows at most.
    """
    query = select(*_KEY_COLUMNS).where(api_key.c.tenant_id == tenant_id)
    if after is not None:
        query = query.where(api_key.c.id < after)
    return [ApiKey(*row) for row in conn.execute(query.order_by(api_key.c.id.desc()).limit(limit))]


def find_key(conn: Connection, key_id: UUID) -> ApiKey | None:
    """A key of any tenant: this look-up is what tells the tenant. Served by api_key_pkey."""
    row = conn.execute(select(*_KEY_COLUMNS).where(api_key.c.id == key_id)).one_or_none()
    return None if row is None else ApiKey(*row)


def revoke_key(conn: Connection, tenant_id: UUID, key_id: UUID) -> ApiKey:
    """Revoke a key; the first revocation's time stays. Served by api_key_pkey.

    Raises:
        NotFound: this tenant has no such key.
    """
    row = conn.execute(
        update(api_key)
        .values(revoked_at=func.coalesce(api_key.c.revoked_at, func.now()))
        .where(api_key.c.id == key_id, api_key.c.tenant_id == tenant_id)
        .returning(*_KEY_COLUMNS)
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no API key {format_id(Kind.API_KEY, key_id)}.")
    return ApiKey(*row)


def touch_keys(conn: Connection, used: Mapping[UUID, datetime], *, at_least: timedelta) -> int:
    """Note when keys were used, unless that was noted less than `at_least` ago. Served by api_key_pkey.

    Another process may be noting the same keys: its rows are passed over, not waited for.

    Returns:
        How many rows were written.
    """
    return conn.execute(
        text(
            "UPDATE hub.api_key k SET last_used_at = due.used_at FROM"
            " (SELECT held.id, used.used_at"
            " FROM unnest(CAST(:ids AS uuid[]), CAST(:times AS timestamptz[])) AS used (id, used_at)"
            " JOIN hub.api_key held ON held.id = used.id"
            " WHERE held.last_used_at IS NULL OR held.last_used_at <= used.used_at - :at_least"
            " FOR NO KEY UPDATE OF held SKIP LOCKED) AS due"
            " WHERE k.id = due.id"
        ),
        {"ids": list(used), "times": list(used.values()), "at_least": at_least},
    ).rowcount


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
