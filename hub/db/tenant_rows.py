"""One tenant's rows of a table: each statement made here names the tenant, so that no id reaches another's row.

For tables with the columns `id` (made by the hub, in the order of time), `tenant_id` and, where rows are changed or
named, `version`, `updated_at` and `name`. Leaves to a feature's store: which table, and what else narrows a list.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from hub.core.errors import Conflict, FieldError, NotFound
from hub.core.ids import format_id

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Column, Connection, Row, Select, Table

    from hub.core.ids import Kind


def insert_row(conn: Connection, table: Table, values: Mapping[str, Any]) -> Row[Any]:
    """Write a row that has a name of its own among the tenant's.

    Raises:
        Conflict: the tenant has one of this name.
    """
    with unique_name(table, values.get("name", "")):
        return conn.execute(insert(table).values(**values).returning(table)).one()


def find_row(
    conn: Connection, table: Table, tenant_id: uuid.UUID, row_id: uuid.UUID, kind: Kind, *, lock: bool = False
) -> Row[Any]:
    """One row of the tenant. Served by the table's primary key.

    Args:
        conn: a connection.
        table: where it is; the last word of its name is what the error calls it.
        tenant_id: whose.
        row_id: which one.
        kind: of its id, for the error.
        lock: nobody else changes it until the transaction ends.

    Raises:
        NotFound: the tenant has no such row.
    """
    query = select(table).where(table.c.id == row_id, table.c.tenant_id == tenant_id)
    row = conn.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFound(f"There is no {_noun(table)} {format_id(kind, row_id)}.")
    return row


def change_row(
    conn: Connection, table: Table, tenant_id: uuid.UUID, row_id: uuid.UUID, values: Mapping[str, Any]
) -> Row[Any]:
    """Change a row that was found and return it; its version goes up. Served by the table's primary key."""
    return conn.execute(
        update(table)
        .where(table.c.id == row_id, table.c.tenant_id == tenant_id)
        .values({**values, "version": table.c.version + 1, "updated_at": func.now()})
        .returning(table)
    ).one()


def change_version(
    conn: Connection,
    table: Table,
    tenant_id: uuid.UUID,
    row_id: uuid.UUID,
    version: int,
    values: Mapping[str, Any],
) -> Row[Any] | None:
    """Change one version of a row; None when it is not the present one. Served by the table's primary key.

    Raises:
        Conflict: the new name is taken.
    """
    with unique_name(table, values.get("name", "")):
        return conn.execute(
            update(table)
            .where(table.c.id == row_id, table.c.tenant_id == tenant_id, table.c.version == version)
            .values({**values, "version": version + 1, "updated_at": func.now()})
            .returning(table)
        ).one_or_none()


def delete_row(conn: Connection, table: Table, tenant_id: uuid.UUID, row_id: uuid.UUID) -> bool:
    """Delete a row of the tenant; was there one? Served by the table's primary key."""
    return bool(
        conn.execute(delete(table).where(table.c.id == row_id, table.c.tenant_id == tenant_id)).rowcount
    )


def newest_first(
    query: Select[Any], row_id: Column[Any], *, after: uuid.UUID | None, limit: int
) -> Select[Any]:
    """One page of a query. Served by an index that has what the query asks for first, and then the id.

    Args:
        query: what is listed; it names the tenant.
        row_id: the id of the rows.
        after: the last id of the page before; None is the first page.
        limit: rows at most.
    """
    if after is not None:
        query = query.where(row_id < after)
    return query.order_by(row_id.desc()).limit(limit)


@contextmanager
def unique_name(table: Table, name: str) -> Iterator[None]:
    """Around a write: a name that the tenant gave to another row is the caller's fault.

    Raises:
        Conflict: it is taken (`<table>_tenant_id_name_key`); the transaction can only be rolled back.
    """
    try:
        yield
    except IntegrityError as error:
        if f"{table.name}_tenant_id_name_key" not in str(error.orig):
            raise
        message = f"is the name of another {_noun(table)}"
        raise Conflict(f"{name!r} {message}.", fields=(FieldError("name", message),)) from None


def _noun(table: Table) -> str:
    return table.name.rpartition("_")[2]
