"""A test event to one endpoint: through the ledger and the pump like any other, seen by nobody else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from hub.core.errors import Conflict
from hub.core.ids import child_uuid, new_uuid
from hub.db.engine import snapshot
from hub.db.states import State
from hub.webhooks import history_store, store
from hub.webhooks.endpoints.store import find_endpoint
from hub.webhooks.matching import check_event_type

if TYPE_CHECKING:
    import uuid

    from sqlalchemy import Connection, Engine, Row

    from hub.access.principal import Principal
    from hub.webhooks.endpoints.schemas import Trial

#: The door that messages of this kind come through.
SOURCE = "test"
MAX_WAIT = 15
_EVERY = 0.1


class Sent(NamedTuple):
    """What became of a test event so far: its delivery, and its first attempt if there was one."""

    delivery: Row[Any]
    attempt: Row[Any] | None


def send(conn: Connection, caller: Principal, endpoint_id: uuid.UUID, body: Trial) -> uuid.UUID:
    """Publish a test event to one endpoint, whatever it subscribes to; the id of its delivery.

    Raises:
        NotFound: the tenant has no such endpoint.
        Invalid: the type is malformed.
        Conflict: nothing is sent to it now.
    """
    check_event_type(body.type, field="type")
    row = find_endpoint(conn, caller.tenant_id, endpoint_id)
    if row.status != "active":
        raise Conflict(f"The endpoint is {row.status}: nothing is sent to it.")
    message_id = new_uuid()
    delivery_id = child_uuid(message_id)
    data = msgspec.json.encode(body.data).decode()
    store.insert_messages(conn, [store.NewMessage(message_id, caller.tenant_id, body.type, data, SOURCE)])
    # Fanned out by us, in the same transaction: nobody else ever sees it waiting.
    store.fan_out(
        conn,
        [store.NewDelivery(delivery_id, caller.tenant_id, message_id, endpoint_id, State.DUE)],
        done=[message_id],
        owner="",
        lease=0.0,
    )
    store.DELIVERIES.wake(conn, [endpoint_id])
    return delivery_id


def outcome(engine: Engine, caller: Principal, delivery_id: uuid.UUID, *, seconds: float) -> Sent:
    """What became of it, as soon as it was tried or after some time.

    Args:
        engine: the database; no connection is held while waiting.
        caller: who asks.
        delivery_id: as `send` returned it; committed.
        seconds: how long to wait.
    """
    deadline = time.monotonic() + seconds
    while True:
        with snapshot(engine) as conn:
            delivery = history_store.find_delivery(conn, caller.tenant_id, delivery_id)
            attempts = history_store.list_attempts(conn, caller.tenant_id, delivery_id)
        if attempts or State(delivery.state).finished or time.monotonic() >= deadline:
            return Sent(delivery, attempts[0] if attempts else None)
        time.sleep(_EVERY)
