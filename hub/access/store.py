"""Every query of tenants and API keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, insert, select, text, update

from hub.access.models import api_key
from hub.core.errors import Conflict, NotFound
from hub.core.ids import Kind, format_id

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime, timedelta
    from uuid import UUID

    from sqlalchemy import Connection


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
    roles: list[str]


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
    roles: Collection[str] = (),
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
            roles=sorted(roles),
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
