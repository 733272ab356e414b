"""What the audit log tells of API keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.access import audit
from hub.core.ids import Kind, format_id

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Connection

    from hub.access.store import ApiKey


def note_created(conn: Connection, row: ApiKey, *, actor: UUID | None) -> None:
    """A key was made, and what it may do.

    Args:
        conn: a connection inside the transaction that makes it.
        row: the key.
        actor: who made it; None: an operator.
    """
    details = {
        "name": row.name,
        "scopes": sorted(row.scopes),
        "roles": sorted(row.roles),
        "expires_at": None if row.expires_at is None else row.expires_at.isoformat(),
    }
    audit.note(conn, row.tenant_id, actor, "api_key.created", format_id(Kind.API_KEY, row.id), details)


def note_revoked(conn: Connection, row: ApiKey, *, actor: UUID | None) -> None:
    """A key was revoked.

    Args:
        conn: a connection inside the transaction that revokes it.
        row: the key.
        actor: who revoked it; None: an operator.
    """
    subject = format_id(Kind.API_KEY, row.id)
    audit.note(conn, row.tenant_id, actor, "api_key.revoked", subject, {"name": row.name})
