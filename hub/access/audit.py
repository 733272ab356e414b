"""The audit log: who changed what, and which calls were refused. Written in the transaction that made it true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, insert, select

from hub.access.models import audit_entry
from hub.core.ids import new_uuid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from sqlalchemy import Connection, Row


class Entry(NamedTuple):
    """One entry; what its parts mean is told at `note`."""

    tenant_id: UUID
    actor: UUID | None
    action: str
    subject: str
    details: Mapping[str, Any]


def note(
    conn: Connection,
    tenant_id: UUID,
    actor: UUID | None,
    action: str,
    subject: str,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write one entry.

    Args:
        conn: a connection inside the transaction of what is told.
        tenant_id: whose.
        actor: the API key; None: an operator, or the hub itself.
        action: `<noun>.<what happened>`.
        subject: the public id of what it happened to.
        details: a JSON object without secrets.
    """
    note_all(conn, [Entry(tenant_id, actor, action, subject, details or {})])


def note_all(conn: Connection, entries: Sequence[Entry]) -> None:
    """Write entries in one statement.

    Args:
        conn: a connection inside the transaction of what is told.
        entries: at least one.
    """
    conn.execute(insert(audit_entry).values([{"id": new_uuid(), **entry._asdict()} for entry in entries]))


def list_entries(
    conn: Connection,
    tenant_id: UUID,
    *,
    after: UUID | None,
    limit: int,
    subject: str | None = None,
    action: str | None = None,
) -> Sequence[Row[Any]]:
    """Newest first. Served by audit_entry_tenant_id_subject_id_idx or audit_entry_tenant_id_id_idx."""
    query = select(audit_entry).where(audit_entry.c.tenant_id == tenant_id)
    if subject is not None:
        query = query.where(audit_entry.c.subject == subject)
    if action is not None:
        query = query.where(audit_entry.c.action == action)
    if after is not None:
        query = query.where(audit_entry.c.id < after)
    return conn.execute(query.order_by(audit_entry.c.id.desc()).limit(limit)).all()


def prune_entries(conn: Connection, oldest: UUID, *, limit: int) -> int:
    """Delete some of what is older than this id's moment; how many. Served by audit_entry_pkey."""
    old = select(audit_entry.c.id).where(audit_entry.c.id < oldest).order_by(audit_entry.c.id).limit(limit)
    return conn.execute(delete(audit_entry).where(audit_entry.c.id.in_(old))).rowcount
