"""The queries of a stream; both read by id, so their cost does not grow with history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Uuid, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

from hub.webhooks.models import message

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Row

_HEAD: tuple[ColumnElement[Any], ...] = (
    message.c.id,
    message.c.type,
    message.c.source,
    message.c.labels,
    # Of text that is stored out of line, its length is known without reading it.
    func.octet_length(message.c.data).label("size"),
)
_BODY: tuple[ColumnElement[Any], ...] = (
    message.c.id,
    message.c.type,
    message.c.event_id,
    message.c.source,
    message.c.traceparent,
    message.c.data,
    message.c.created_at,
)


def list_heads(conn: Connection, tenant_id: uuid.UUID, *, after: uuid.UUID, limit: int) -> Sequence[Row[Any]]:
    """`id, type, source, labels, size` of the events after an id, oldest first.

    Served by message_tenant_id_id_idx, day after day until there are enough.
    """
    return conn.execute(
        select(*_HEAD)
        .where(message.c.tenant_id == tenant_id, message.c.id > after)
        .order_by(message.c.id)
        .limit(limit)
    ).all()


def load_bodies(conn: Connection, tenant_id: uuid.UUID, *, ids: Sequence[uuid.UUID]) -> Sequence[Row[Any]]:
    """`id, type, event_id, source, traceparent, data, created_at` of these events, oldest first.

    Served by message_pkey or message_tenant_id_id_idx, the days between the first and the last alone.

    Args:
        conn: a connection.
        tenant_id: whose.
        ids: ascending, at least one.
    """
    return conn.execute(
        select(*_BODY)
        .where(
            message.c.tenant_id == tenant_id,
            message.c.id == func.any(literal(list(ids), ARRAY(Uuid))),
            # Names the days to look at.
            message.c.id.between(ids[0], ids[-1]),
        )
        .order_by(message.c.id)
    ).all()
