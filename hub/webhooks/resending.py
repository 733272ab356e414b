"""A delivery once more, because a person asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.core.errors import Conflict, NotFound
from hub.db.states import FINISHED, State
from hub.webhooks import history_store, store
from hub.webhooks.endpoints.store import find_endpoint

if TYPE_CHECKING:
    import uuid

    from sqlalchemy import Connection, Row

    from hub.access.principal import Principal


def resend(conn: Connection, caller: Principal, delivery_id: uuid.UUID) -> Row[Any]:
    """Send a delivery once more, whatever became of it, with the same webhook-id; burns no step of its schedule.

    Raises:
        NotFound: the tenant has no such delivery.
        Conflict: it is being sent now, or its endpoint is gone or not active.
    """
    row = history_store.find_delivery(conn, caller.tenant_id, delivery_id)
    try:
        endpoint = find_endpoint(conn, caller.tenant_id, row.endpoint_id)
    except NotFound:
        raise Conflict("The endpoint of this delivery was deleted.") from None
    if endpoint.status != "active":
        raise Conflict(f"The endpoint is {endpoint.status}: activate it first, then resend.")
    moved = store.DELIVERIES.move(
        conn, caller.tenant_id, [delivery_id], to=State.DUE, allowed=[*FINISHED, State.HELD, State.DUE]
    )
    if not moved:
        raise Conflict("The delivery is being sent right now.")
    return history_store.find_delivery(conn, caller.tenant_id, delivery_id)
