"""Every query of outgoing webhooks. Those for people take the tenant's scope; those for workers serve all tenants."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Connection, Row, Select, delete, insert, select, text, true, update

from hub.core.errors import NotFound
from hub.core.ids import Kind, format_id
from hub.db.ledger import Ledger
from hub.db.models import attempt
from hub.db.states import State
from hub.webhooks.models import delivery, endpoint, message

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

MESSAGES = Ledger("message", ("type", "event_id", "data", "created_at"))
DELIVERIES = Ledger("delivery", ("message_id", "endpoint_id"))

# -- endpoints: for people ------------------------------------------------------------------------------------------


def insert_endpoint(conn: Connection, values: dict[str, Any]) -> Row[Any]:
    """Write an endpoint and return it."""
    return conn.execute(insert(endpoint).values(values).returning(endpoint)).one()


def find_endpoint(
    conn: Connection, tenant_id: uuid.UUID, endpoint_id: uuid.UUID, *, lock: bool = False
) -> Row[Any]:
    """One endpoint of the tenant. Served by endpoint_pkey.

    Raises:
        NotFound: the tenant has no such endpoint.
    """
    query = select(endpoint).where(endpoint.c.id == endpoint_id, endpoint.c.tenant_id == tenant_id)
    row = conn.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFound(f"There is no endpoint {format_id(Kind.ENDPOINT, endpoint_id)}.")
    return row


def list_endpoints(
    conn: Connection, tenant_id: uuid.UUID, *, before: uuid.UUID | None, limit: int
) -> Sequence[Row[Any]]:
    """The tenant's endpoints, newest first, one more than `limit`. Served by endpoint_tenant_id_id_idx."""
    query = select(endpoint).where(endpoint.c.tenant_id == tenant_id)
    return conn.execute(_page(query, endpoint, before, limit)).all()


def update_endpoint(
    conn: Connection, tenant_id: uuid.UUID, endpoint_id: uuid.UUID, values: dict[str, Any]
) -> Row[Any]:
    """Change an endpoint and return it; its version goes up. Served by endpoint_pkey."""
    return conn.execute(
        update(endpoint)
        .where(endpoint.c.id == endpoint_id, endpoint.c.tenant_id == tenant_id)
        .values(values | {"version": endpoint.c.version + 1, "updated_at": text("now()")})
        .returning(endpoint)
    ).one()


def delete_endpoint(conn: Connection, tenant_id: uuid.UUID, endpoint_id: uuid.UUID) -> None:
    """Remove an endpoint; what waits for it is cancelled, history stays. Served by delivery_endpoint_id_id_idx."""
    conn.execute(delete(endpoint).where(endpoint.c.id == endpoint_id, endpoint.c.tenant_id == tenant_id))
    conn.execute(
        text(
            "UPDATE hub.delivery SET state = 'cancelled', reason = 'endpoint_deleted', finished_at = now(),"
            " lease_owner = NULL, lease_until = NULL"
            " WHERE endpoint_id = :id AND state IN ('due', 'held', 'leased')"
        ),
        {"id": endpoint_id},
    )


# -- endpoints: for workers -----------------------------------------------------------------------------------------


def load_endpoints(conn: Connection, tenant_ids: Collection[uuid.UUID]) -> Sequence[Row[Any]]:
    """All endpoints of these tenants. Served by endpoint_tenant_id_id_idx."""
    return conn.execute(
        select(endpoint).where(endpoint.c.tenant_id.in_(tenant_ids)).order_by(endpoint.c.id)
    ).all()


def lock_config_versions(conn: Connection, tenant_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, int]:
    """The versions of these tenants' set-up, which stay so until the transaction ends. Served by tenant_pkey."""
    rows = conn.execute(
        text("SELECT id, config_version FROM hub.tenant WHERE id = ANY (:ids) ORDER BY id FOR SHARE"),
        {"ids": list(tenant_ids)},
    )
    return {row.id: row.config_version for row in rows}


def disable_endpoint(conn: Connection, tenant_id: uuid.UUID, endpoint_id: uuid.UUID, reason: str) -> bool:
    """Disable an endpoint, once; False when it was disabled already. Served by endpoint_pkey."""
    row = conn.execute(
        update(endpoint)
        .where(
            endpoint.c.id == endpoint_id, endpoint.c.tenant_id == tenant_id, endpoint.c.status != "disabled"
        )
        .values(
            status="disabled", status_reason=reason, version=endpoint.c.version + 1, updated_at=text("now()")
        )
        .returning(endpoint.c.id)
    ).one_or_none()
    return row is not None


def hold_deliveries(conn: Connection, endpoint_id: uuid.UUID, reason: str) -> int:
    """Hold what waits for an endpoint. Served by delivery_endpoint_id_id_idx."""
    return conn.execute(
        text(
            "UPDATE hub.delivery SET state = 'held', reason = :reason WHERE endpoint_id = :id AND state = 'due'"
        ),
        {"id": endpoint_id, "reason": reason},
    ).rowcount


def resume_deliveries(conn: Connection, endpoint_id: uuid.UUID) -> int:
    """Make due what was held for an endpoint, quarantined rows aside. Served by delivery_held_idx."""
    return conn.execute(
        text(
            "UPDATE hub.delivery SET state = 'due', reason = NULL, due_at = now()"
            " WHERE endpoint_id = :id AND state = 'held' AND reason IS DISTINCT FROM 'quarantined'"
        ),
        {"id": endpoint_id},
    ).rowcount


# -- messages and deliveries: for workers ---------------------------------------------------------------------------


class NewMessage(msgspec.Struct, omit_defaults=True):
    """A message as it is written, due at once."""

    id: uuid.UUID
    tenant_id: uuid.UUID
    type: str
    data: str
    source: str
    event_id: str | None = None


def insert_messages(conn: Connection, rows: Sequence[NewMessage]) -> None:
    """Write messages: one statement for any number, inside the publisher's transaction."""
    conn.execute(
        text(
            "INSERT INTO hub.message (id, tenant_id, type, event_id, data, source)"
            " SELECT id, tenant_id, type, event_id, data, source FROM json_to_recordset(CAST(:rows AS json))"
            " AS r(id uuid, tenant_id uuid, type text, event_id text, data text, source text)"
        ),
        {"rows": msgspec.json.encode(rows).decode()},
    )


class NewDelivery(msgspec.Struct, omit_defaults=True):
    """A delivery as it is written: `due`, `held`, or `leased` to its writer at once, which saves a claim."""

    id: uuid.UUID
    tenant_id: uuid.UUID
    message_id: uuid.UUID
    endpoint_id: uuid.UUID
    state: State
    reason: str | None = None


def insert_deliveries(conn: Connection, rows: Sequence[NewDelivery], *, owner: str, lease: float) -> None:
    """Write deliveries: one statement for any number, inside the transaction that completes their messages.

    Args:
        conn: a connection.
        rows: the deliveries.
        owner: who leases those whose state is `leased`; their fence and attempt are 1.
        lease: seconds.
    """
    conn.execute(
        text(
            "INSERT INTO hub.delivery (id, tenant_id, message_id, endpoint_id, state, reason, lease_owner, lease_until,"
            " fence, attempt)"
            " SELECT id, tenant_id, message_id, endpoint_id, state, reason,"
            " CASE WHEN state = 'leased' THEN :owner END,"
            " CASE WHEN state = 'leased' THEN now() + make_interval(secs => :lease) END,"
            " CASE WHEN state = 'leased' THEN 1 ELSE 0 END, CASE WHEN state = 'leased' THEN 1 ELSE 0 END"
            " FROM json_to_recordset(CAST(:rows AS json))"
            " AS r(id uuid, tenant_id uuid, message_id uuid, endpoint_id uuid, state text, reason text)"
        ),
        {"rows": msgspec.json.encode(rows).decode(), "owner": owner, "lease": lease},
    )


def load_messages(conn: Connection, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Row[Any]]:
    """Messages by id, for deliveries that were claimed. Served by message_pkey."""
    rows = conn.execute(
        text(
            "SELECT id, type, event_id, data, created_at FROM hub.message WHERE id = ANY (CAST(:ids AS uuid[]))"
        ),
        {"ids": list(ids)},
    )
    return {row.id: row for row in rows}


# -- messages and deliveries: for people ----------------------------------------------------------------------------


def find_message(conn: Connection, tenant_id: uuid.UUID, message_id: uuid.UUID) -> Row[Any]:
    """One message of the tenant. Served by message_pkey.

    Raises:
        NotFound: the tenant has no such message.
    """
    row = conn.execute(
        select(message).where(message.c.id == message_id, message.c.tenant_id == tenant_id)
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no event {format_id(Kind.MESSAGE, message_id)}.")
    return row


def list_messages(
    conn: Connection, tenant_id: uuid.UUID, *, event_type: str | None, before: uuid.UUID | None, limit: int
) -> Sequence[Row[Any]]:
    """The tenant's messages, newest first, one more than `limit`. Served by message_tenant_id_id_idx."""
    shown = [column for column in message.c if column.name != "data"]
    query = select(*shown).where(message.c.tenant_id == tenant_id)
    if event_type is not None:
        query = query.where(message.c.type == event_type)
    return conn.execute(_page(query, message, before, limit)).all()


def find_delivery(conn: Connection, tenant_id: uuid.UUID, delivery_id: uuid.UUID) -> Row[Any]:
    """One delivery of the tenant. Served by delivery_pkey.

    Raises:
        NotFound: the tenant has no such delivery.
    """
    row = conn.execute(
        select(delivery).where(delivery.c.id == delivery_id, delivery.c.tenant_id == tenant_id)
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

    Served by delivery_message_id_idx for one message, else by delivery_endpoint_id_id_idx: one look-up for each of
    the tenant's endpoints (or the one asked for), so those of deleted endpoints are found through their events only.
    """
    query = select(delivery).where(delivery.c.tenant_id == tenant_id)
    if state is not None:
        query = query.where(delivery.c.state == state)
    if message_id is not None:
        query = query.where(delivery.c.message_id == message_id)
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
