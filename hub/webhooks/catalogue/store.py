"""Every query of the catalogue. Each takes the tenant's scope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, func, insert, null, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from hub.core.errors import NotFound
from hub.webhooks.catalogue.models import catalogue_setting, event_type, event_type_version

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection, Row

_JUDGED = [
    event_type.c[name] for name in ("id", "tenant_id", "name", "deprecated", "validation", "current_version")
]
_SUMMARY = [column for column in event_type_version.c if column.name not in {"schema", "example"}]

# -- event types ----------------------------------------------------------------------------------------------------


def insert_event_type(conn: Connection, values: dict[str, Any]) -> Row[Any]:
    """Write an event type and return it."""
    return conn.execute(insert(event_type).values(values).returning(event_type)).one()


def find_event_type(conn: Connection, tenant_id: uuid.UUID, name: str) -> Row[Any] | None:
    """One event type by its name, also an archived one. Served by event_type_tenant_id_name_key."""
    return conn.execute(
        select(event_type).where(event_type.c.tenant_id == tenant_id, event_type.c.name == name)
    ).one_or_none()


def get_event_type(conn: Connection, tenant_id: uuid.UUID, name: str) -> Row[Any]:
    """As `find_event_type`.

    Raises:
        NotFound: the tenant has none of this name.
    """
    row = find_event_type(conn, tenant_id, name)
    if row is None:
        raise NotFound(f"There is no event type {name[:128]}.")
    return row


def list_event_types(
    conn: Connection,
    tenant_id: uuid.UUID,
    *,
    labels: Collection[str],
    archived: bool,
    after: uuid.UUID | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """The tenant's event types with all of these labels, newest first. Served by event_type_tenant_id_id_idx."""
    query = select(event_type).where(
        event_type.c.tenant_id == tenant_id,
        event_type.c.archived_at.is_not(None) if archived else event_type.c.archived_at.is_(None),
    )
    if labels:
        query = query.where(event_type.c.labels.contains(list(labels)))
    if after is not None:
        query = query.where(event_type.c.id < after)
    return conn.execute(query.order_by(event_type.c.id.desc()).limit(limit)).all()


def update_event_type(
    conn: Connection, tenant_id: uuid.UUID, event_type_id: uuid.UUID, values: dict[str, Any]
) -> Row[Any]:
    """Change an event type and return it. Served by event_type_pkey."""
    return conn.execute(
        update(event_type)
        .where(event_type.c.id == event_type_id, event_type.c.tenant_id == tenant_id)
        .values({**values, "updated_at": func.now()})
        .returning(event_type)
    ).one()


def archive_event_type(conn: Connection, tenant_id: uuid.UUID, event_type_id: uuid.UUID) -> None:
    """Note that an event type is archived. Served by event_type_pkey."""
    conn.execute(
        update(event_type)
        .where(event_type.c.id == event_type_id, event_type.c.tenant_id == tenant_id)
        .values(archived_at=func.now(), updated_at=func.now())
    )


# -- versions -------------------------------------------------------------------------------------------------------


def insert_version(conn: Connection, values: dict[str, Any]) -> Row[Any]:
    """Write a version and return it."""
    return conn.execute(insert(event_type_version).values(values).returning(event_type_version)).one()


def get_version(conn: Connection, tenant_id: uuid.UUID, event_type_id: uuid.UUID, version: int) -> Row[Any]:
    """One version with its schema. Served by event_type_version_pkey.

    Raises:
        NotFound: there is none of this number.
    """
    row = conn.execute(
        select(event_type_version).where(
            event_type_version.c.event_type_id == event_type_id,
            event_type_version.c.version == version,
            event_type_version.c.tenant_id == tenant_id,
        )
    ).one_or_none()
    if row is None:
        raise NotFound(f"This event type has no version {version}.")
    return row


def list_versions(
    conn: Connection, tenant_id: uuid.UUID, event_type_id: uuid.UUID, *, after: uuid.UUID | None, limit: int
) -> Sequence[Row[Any]]:
    """The versions of a type without their schemas, newest first. Served by event_type_version_pkey."""
    query = select(*_SUMMARY).where(
        event_type_version.c.event_type_id == event_type_id, event_type_version.c.tenant_id == tenant_id
    )
    if after is not None:
        query = query.where(event_type_version.c.id < after)
    return conn.execute(query.order_by(event_type_version.c.id.desc()).limit(limit)).all()


# -- settings -------------------------------------------------------------------------------------------------------


def find_settings(conn: Connection, tenant_id: uuid.UUID) -> Row[Any] | None:
    """What the tenant chose for all event types; None when it never did. Served by catalogue_setting_pkey."""
    return conn.execute(
        select(catalogue_setting).where(catalogue_setting.c.tenant_id == tenant_id)
    ).one_or_none()


def put_settings(conn: Connection, tenant_id: uuid.UUID, values: dict[str, Any]) -> Row[Any]:
    """Choose these, the others stay, and return all. Served by catalogue_setting_pkey."""
    return conn.execute(
        upsert(catalogue_setting)
        .values(tenant_id=tenant_id, **values)
        .on_conflict_do_update(index_elements=["tenant_id"], set_={**values, "updated_at": func.now()})
        .returning(catalogue_setting)
    ).one()


# -- for those who judge events -------------------------------------------------------------------------------------


def load_unknown_policies(conn: Connection, tenant_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    """What these tenants do with unknown event types, where they chose. Served by catalogue_setting_pkey."""
    rows = conn.execute(
        select(catalogue_setting.c.tenant_id, catalogue_setting.c.unknown_event_types).where(
            catalogue_setting.c.tenant_id.in_(tenant_ids)
        )
    )
    return {row.tenant_id: row.unknown_event_types for row in rows}


def load_event_types(conn: Connection, tenant_ids: Collection[uuid.UUID]) -> Sequence[Row[Any]]:
    """The event types of these tenants that are not archived. Served by event_type_tenant_id_id_idx."""
    return conn.execute(
        select(*_JUDGED).where(event_type.c.tenant_id.in_(tenant_ids), event_type.c.archived_at.is_(None))
    ).all()


def load_retry_policies(
    conn: Connection, tenant_ids: Collection[uuid.UUID]
) -> Sequence[Row[uuid.UUID, str | None, Any]]:
    """`tenant_id, event type, retry_policy` of these tenants and of their event types that are not archived.

    Only of those that have one; the event type is null for the tenant's own. Served by catalogue_setting_pkey and
    event_type_tenant_id_id_idx.
    """
    tenants = select(
        catalogue_setting.c.tenant_id, null().cast(Text), catalogue_setting.c.retry_policy
    ).where(catalogue_setting.c.tenant_id.in_(tenant_ids), catalogue_setting.c.retry_policy.is_not(None))
    types = select(event_type.c.tenant_id, event_type.c.name, event_type.c.retry_policy).where(
        event_type.c.tenant_id.in_(tenant_ids),
        event_type.c.archived_at.is_(None),
        event_type.c.retry_policy.is_not(None),
    )
    return conn.execute(tenants.union_all(types)).all()


def load_schemas(conn: Connection, wanted: Collection[tuple[uuid.UUID, int]]) -> Sequence[Row[Any]]:
    """The schemas of versions, by type and number, which come from tenants' rows. Served by event_type_version_pkey."""
    return conn.execute(
        text(
            "SELECT v.event_type_id, v.version, v.schema"
            " FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS int[])) AS wanted (id, version)"
            " JOIN hub.event_type_version v ON v.event_type_id = wanted.id AND v.version = wanted.version"
        ),
        {"ids": [one for one, _ in wanted], "versions": [version for _, version in wanted]},
    ).all()
