"""What people read of events, deliveries and attempts: every query takes the tenant's scope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, Select, and_, case, func, or_, select, true

from hub.core.errors import NotFound
from hub.core.ids import Kind, children_of, format_id
from hub.db.models import attempt
from hub.db.states import State
from hub.webhooks.models import delivery, delivery_lane, endpoint, message, outbox

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence


def _messages() -> Select[Any]:
    """Messages without their data, with the state that people see."""
    state = case(
        (outbox.c.due_at > func.now(), "scheduled"),
        (outbox.c.message_id.is_not(None), "due"),
        (message.c.reason.in_(("expired", "cancelled")), message.c.reason),
        (message.c.reason.in_(("schema_invalid", "fan_out_failed")), "failed"),
        else_="done",
    )
    shown = [column for column in message.c if column.name != "data"]
    return select(*shown, state.label("state")).select_from(
        message.outerjoin(outbox, outbox.c.message_id == message.c.id)
    )


def _deliveries() -> Select[Any]:
    """Deliveries as people see them: what is due in a lane that is held is held."""
    held = and_(delivery.c.state == "due", delivery_lane.c.hold.is_not(None))
    shown = [column for column in delivery.c if column.name not in {"state", "reason"}]
    return select(
        *shown,
        case((held, "held"), else_=delivery.c.state).label("state"),
        case((held, delivery_lane.c.hold), else_=delivery.c.reason).label("reason"),
    ).select_from(delivery.outerjoin(delivery_lane, delivery_lane.c.endpoint_id == delivery.c.endpoint_id))


def find_message(conn: Connection, tenant_id: uuid.UUID, message_id: uuid.UUID) -> Row[Any]:
    """One message of the tenant, with its data. Served by message_pkey.

    Raises:
        NotFound: the tenant has no such message.
    """
    query = _messages().add_columns(message.c.data)
    row = conn.execute(
        query.where(message.c.id == message_id, message.c.tenant_id == tenant_id)
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no event {format_id(Kind.MESSAGE, message_id)}.")
    return row


def list_messages(
    conn: Connection, tenant_id: uuid.UUID, *, event_type: str | None, before: uuid.UUID | None, limit: int
) -> Sequence[Row[Any]]:
    """The tenant's messages, newest first, one more than `limit`. Served by message_tenant_id_id_idx."""
    query = _messages().where(message.c.tenant_id == tenant_id)
    if event_type is not None:
        query = query.where(message.c.type == event_type)
    return conn.execute(_page(query, message, before, limit)).all()


def find_delivery(conn: Connection, tenant_id: uuid.UUID, delivery_id: uuid.UUID) -> Row[Any]:
    """One delivery of the tenant. Served by delivery_pkey.

    Raises:
        NotFound: the tenant has no such delivery.
    """
    row = conn.execute(
        _deliveries().where(delivery.c.id == delivery_id, delivery.c.tenant_id == tenant_id)
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no delivery {format_id(Kind.DELIVERY, delivery_id)}.")
    return row


def list_deliveries(
    conn: Connection,
    tenant_id: uuid.UUID,
    *,
    message_id: uuid.UUID | None,
    endpoint_id: uuid.UUID | None,
    state: str | None,
    before: uuid.UUID | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """The tenant's deliveries, newest first, one more than `limit`.

    Served by delivery_pkey for one message (their ids are neighbours), else by delivery_endpoint_id_id_idx: one
    look-up for each of the tenant's endpoints (or the one asked for), so those of deleted endpoints are found through
    their events only.
    """
    query = _deliveries().where(delivery.c.tenant_id == tenant_id)
    held = and_(delivery.c.state == "due", delivery_lane.c.hold.is_not(None))
    if state == State.HELD:
        query = query.where(or_(delivery.c.state == "held", held))
    elif state == State.DUE:
        query = query.where(delivery.c.state == "due", delivery_lane.c.hold.is_(None))
    elif state is not None:
        query = query.where(delivery.c.state == state)
    if message_id is not None:
        first, last = children_of(message_id)
        query = query.where(delivery.c.id.between(first, last), delivery.c.message_id == message_id)
        if endpoint_id is not None:
            query = query.where(delivery.c.endpoint_id == endpoint_id)
        return conn.execute(_page(query, delivery, before, limit)).all()
    newest = _page(query.where(delivery.c.endpoint_id == endpoint.c.id), delivery, before, limit).lateral(
        "newest"
    )
    wanted = (
        select(newest).select_from(endpoint.join(newest, true())).where(endpoint.c.tenant_id == tenant_id)
    )
    if endpoint_id is not None:
        wanted = wanted.where(endpoint.c.id == endpoint_id)
    return conn.execute(wanted.order_by(newest.c.id.desc()).limit(limit + 1)).all()


def list_attempts(conn: Connection, tenant_id: uuid.UUID, work_id: uuid.UUID) -> Sequence[Row[Any]]:
    """Every attempt at one delivery, oldest first. Served by attempt_pkey."""
    return conn.execute(
        select(attempt)
        .where(attempt.c.work_id == work_id, attempt.c.tenant_id == tenant_id)
        .order_by(attempt.c.id)
    ).all()


def _page(query: Select[Any], table: Any, before: uuid.UUID | None, limit: int) -> Select[Any]:
    if before is not None:
        query = query.where(table.c.id < before)
    return query.order_by(table.c.id.desc()).limit(limit + 1)
