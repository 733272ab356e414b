"""Every query of integrations and their versions. Each takes the tenant, or ids that came from a tenant's rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, delete, func, insert, or_, select, text

from hub.db.tenant_rows import change_version, insert_row, newest_first
from hub.integrations.registry.models import integration, integration_version

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Mapping, Sequence


def insert_integration(conn: Connection, values: Mapping[str, Any]) -> Row[Any]:
    """Write an integration.

    Raises:
        Conflict: the tenant has one of this name (integration_tenant_id_name_key).
    """
    return insert_row(conn, integration, _timed(values))


def find_integration(conn: Connection, tenant_id: uuid.UUID, integration_id: uuid.UUID) -> Row[Any] | None:
    """One integration. Served by integration_pkey."""
    return conn.execute(
        select(integration).where(integration.c.id == integration_id, integration.c.tenant_id == tenant_id)
    ).one_or_none()


def list_integrations(
    conn: Connection,
    tenant_id: uuid.UUID,
    *,
    after: uuid.UUID | None,
    limit: int,
    status: str | None = None,
    type_: str | None = None,
    tags: Collection[str] = (),
    search: str | None = None,
) -> Sequence[Row[Any]]:
    """Newest first, those that have all the tags and the text in their name or description.

    Served by integration_tenant_id_id_idx, or integration_tags_idx; a text is looked for in the tenant's rows.
    """
    query = select(integration).where(integration.c.tenant_id == tenant_id)
    if status is not None:
        query = query.where(integration.c.status == status)
    if type_ is not None:
        query = query.where(integration.c.type == type_)
    if tags:
        query = query.where(integration.c.tags.contains(list(tags)))
    if search is not None:
        query = query.where(
            or_(
                integration.c.name.icontains(search, autoescape=True),
                integration.c.description.icontains(search, autoescape=True),
            )
        )
    return conn.execute(newest_first(query, integration.c.id, after=after, limit=limit)).all()


def find_by_names(conn: Connection, tenant_id: uuid.UUID, names: Collection[str]) -> dict[str, Row[Any]]:
    """A tenant's integrations by name. Served by integration_tenant_id_name_key."""
    query = select(integration).where(
        integration.c.tenant_id == tenant_id, integration.c.name.in_(list(names))
    )
    return {row.name: row for row in conn.execute(query)}


def lock_integrations(conn: Connection, tenant_id: uuid.UUID, ids: Collection[uuid.UUID]) -> None:
    """Nobody else changes these until the transaction ends. Served by integration_pkey."""
    chosen = select(integration.c.id).where(integration.c.tenant_id == tenant_id, integration.c.id.in_(ids))
    conn.execute(chosen.order_by(integration.c.id).with_for_update())


def update_integration(
    conn: Connection,
    tenant_id: uuid.UUID,
    integration_id: uuid.UUID,
    version: int,
    changes: Mapping[str, Any],
) -> Row[Any] | None:
    """Change one version of an integration; None when it is not the present one. Served by integration_pkey.

    Raises:
        Conflict: the new name is taken.
    """
    return change_version(conn, integration, tenant_id, integration_id, version, _timed(changes))


def delete_integration(
    conn: Connection, tenant_id: uuid.UUID, integration_id: uuid.UUID, version: int | None
) -> Row[Any] | None:
    """Delete an integration, or one version of it; its last form. Served by integration_pkey."""
    query = delete(integration).where(
        integration.c.id == integration_id, integration.c.tenant_id == tenant_id
    )
    if version is not None:
        query = query.where(integration.c.version == version)
    return conn.execute(query.returning(integration)).one_or_none()


def load_integrations(
    conn: Connection, wanted: Collection[tuple[uuid.UUID, uuid.UUID]]
) -> dict[uuid.UUID, Row[Any]]:
    """Integrations by (tenant id, id) pairs; a pair of another tenant finds nothing. Served by integration_pkey."""
    rows = conn.execute(
        text(
            "SELECT i.* FROM unnest(CAST(:tenants AS uuid[]), CAST(:ids AS uuid[])) AS wanted (tenant_id, id)"
            " JOIN hub.integration i ON i.id = wanted.id AND i.tenant_id = wanted.tenant_id"
        ),
        {"tenants": [tenant for tenant, _ in wanted], "ids": [one for _, one in wanted]},
    )
    return {row.id: row for row in rows}


def load_transportable(conn: Connection, tenant_id: uuid.UUID) -> Sequence[Row[Any]]:
    """All integrations of a tenant by name, for an export. Served by integration_tenant_id_name_key."""
    query = select(integration).where(integration.c.tenant_id == tenant_id).order_by(integration.c.name)
    return conn.execute(query).all()


# -- versions ---------------------------------------------------------------------------------------------------------


def insert_version(
    conn: Connection, row: Row[Any], document: Mapping[str, Any], changed_by: uuid.UUID | None
) -> None:
    """Keep the document of a version."""
    conn.execute(
        insert(integration_version).values(
            integration_id=row.id,
            version=row.version,
            tenant_id=row.tenant_id,
            document=dict(document),
            changed_by=changed_by,
        )
    )


def list_versions(
    conn: Connection, tenant_id: uuid.UUID, integration_id: uuid.UUID, *, before: int | None, limit: int
) -> Sequence[Row[Any, Any, Any]]:
    """Newest first, without documents. Served by integration_version_pkey."""
    kept = integration_version.c
    query = select(kept.version, kept.changed_by, kept.created_at).where(
        kept.integration_id == integration_id, kept.tenant_id == tenant_id
    )
    if before is not None:
        query = query.where(kept.version < before)
    return conn.execute(query.order_by(kept.version.desc()).limit(limit)).all()


def find_version(
    conn: Connection, tenant_id: uuid.UUID, integration_id: uuid.UUID, version: int
) -> Row[Any] | None:
    """One version. Served by integration_version_pkey."""
    kept = integration_version.c
    return conn.execute(
        select(integration_version).where(
            kept.integration_id == integration_id, kept.version == version, kept.tenant_id == tenant_id
        )
    ).one_or_none()


def _timed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Due checks are the database's clock: `next_check_in` seconds become a time; None means no checks."""
    columns = dict(values)
    if "next_check_in" in columns:
        seconds = columns.pop("next_check_in")
        columns["next_check_at"] = (
            None if seconds is None else func.now() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)
        )
    return columns
