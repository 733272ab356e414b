"""Every query with which events and deliveries are accepted, fanned out and sent, and the workers' of endpoints.

What people read of them is in `history_store`.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import (
    Connection,
    Row,
    Uuid,
    delete,
    exists,
    func,
    literal,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from hub.core.ids import new_uuid
from hub.db.lane_ledger import LaneLedger
from hub.db.states import State
from hub.webhooks.models import endpoint, outbox

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

DELIVERIES = LaneLedger("delivery", "endpoint_id", ("message_id", "endpoint_id", "replay_no"))
#: Why the deliveries of a deleted endpoint are cancelled.
ENDPOINT_DELETED = "endpoint_deleted"

# -- endpoints: for workers -----------------------------------------------------------------------------------------


def list_endpoint_versions(
    conn: Connection, tenant_ids: Collection[uuid.UUID]
) -> Sequence[Row[uuid.UUID, uuid.UUID, int]]:
    """`tenant_id, id, version` of all endpoints of these tenants. Served by endpoint_tenant_id_id_idx."""
    return conn.execute(
        select(endpoint.c.tenant_id, endpoint.c.id, endpoint.c.version).where(
            endpoint.c.tenant_id.in_(tenant_ids)
        )
    ).all()


def load_endpoints(conn: Connection, ids: Collection[uuid.UUID]) -> Sequence[Row[Any]]:
    """These endpoints. Served by endpoint_pkey."""
    return conn.execute(
        select(endpoint).where(endpoint.c.id == func.any(literal(list(ids), ARRAY(Uuid))))
    ).all()


def disable_endpoint(
    conn: Connection, tenant_id: uuid.UUID, endpoint_id: uuid.UUID, reason: str, *, url: str | None = None
) -> bool:
    """Disable an endpoint, once. Served by endpoint_pkey.

    Args:
        conn: a connection.
        tenant_id: whose.
        endpoint_id: which one.
        reason: shown with its status.
        url: that the call was made to: what the receiver there said is not about another one; None: any.

    Returns:
        False when it was disabled already, or has another URL now.
    """
    row = conn.execute(
        update(endpoint)
        .where(
            endpoint.c.id == endpoint_id,
            endpoint.c.tenant_id == tenant_id,
            endpoint.c.status != "disabled",
            true() if url is None else endpoint.c.url == url,
        )
        .values(
            status="disabled", status_reason=reason, version=endpoint.c.version + 1, updated_at=text("now()")
        )
        .returning(endpoint.c.id)
    ).one_or_none()
    return row is not None


def has_operations_endpoint(conn: Connection, tenant_id: uuid.UUID) -> bool:
    """Does anybody want to hear what the hub has to say? Served by endpoint_tenant_id_id_idx."""
    return bool(
        conn.scalar(
            select(exists().where(endpoint.c.tenant_id == tenant_id, endpoint.c.kind == "operations"))
        )
    )


# -- messages and deliveries: for workers ---------------------------------------------------------------------------


class NewMessage(msgspec.Struct, omit_defaults=True):
    """A message as it is written; without `deliver_at` it is due at once."""

    id: uuid.UUID
    tenant_id: uuid.UUID
    type: str
    data: str
    source: str
    event_id: str | None = None
    labels: Sequence[str] | None = None
    ordering_key: str | None = None
    deliver_at: datetime | None = None
    expires_at: datetime | None = None
    traceparent: str | None = None
    depth: int = 0


_INSERT_MESSAGES = text(
    "WITH r AS MATERIALIZED (SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS r(id uuid, tenant_id uuid,"
    " type text, event_id text, data text, source text, labels text[], ordering_key text, deliver_at timestamptz,"
    " expires_at timestamptz, traceparent text, depth int)),"
    " waiting AS (INSERT INTO hub.outbox (message_id, tenant_id, due_at, ordering_key, size)"
    " SELECT id, tenant_id, coalesce(deliver_at, now()), ordering_key, octet_length(data) FROM r)"
    " INSERT INTO hub.message (id, tenant_id, type, event_id, data, source, labels, ordering_key, deliver_at,"
    " expires_at, traceparent, depth)"
    " SELECT id, tenant_id, type, event_id, data, source, labels, ordering_key, deliver_at, expires_at, traceparent,"
    " coalesce(depth, 0) FROM r"
)


def insert_messages(conn: Connection, rows: Sequence[NewMessage]) -> None:
    """Write messages: one statement for any number, inside the publisher's transaction."""
    conn.execute(_INSERT_MESSAGES, {"rows": msgspec.json.encode(rows).decode()})


_CLAIM_MESSAGES = text(
    "SELECT o.message_id AS id, o.tenant_id, o.ordering_key, o.after_endpoint, o.after_trigger, m.type, m.event_id,"
    " m.data, m.source, m.labels, m.created_at, m.expires_at, m.expires_at < now() AS expired, m.traceparent, m.depth"
    " FROM (SELECT *, sum(size) OVER (ORDER BY due_at, message_id) AS bytes FROM ("
    "   SELECT * FROM hub.outbox WHERE due_at <= now() ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED) q) o"
    # One look-up a row, whatever the planner thinks of the sizes.
    " CROSS JOIN LATERAL (SELECT * FROM hub.message WHERE id = o.message_id OFFSET 0) m"
    " WHERE o.bytes <= :max_bytes OR o.bytes = o.size"
    " ORDER BY o.message_id"
)


def claim_messages(conn: Connection, *, limit: int, max_bytes: int) -> Sequence[Row[Any]]:
    """Lock messages that are due for fan-out until the transaction ends. Served by outbox_due_at_idx.

    There is no lease: fan-out does nothing outside of this transaction, so a worker that dies leaves them due.

    Args:
        conn: a connection inside the transaction that fans out.
        limit: messages at most.
        max_bytes: of data together; the first one comes in any case.
    """
    return conn.execute(_CLAIM_MESSAGES, {"limit": limit, "max_bytes": max_bytes}).all()


def list_queued(
    conn: Connection, keys: Collection[tuple[uuid.UUID, str]]
) -> dict[tuple[uuid.UUID, str], list[uuid.UUID]]:
    """The due messages of these tenants' ordering keys, oldest first. Served by outbox_tenant_id_ordering_key_…_idx.

    One that was put back a moment ago is due, though this transaction may have begun before that moment.
    """
    rows = conn.execute(
        text(
            "SELECT o.tenant_id, o.ordering_key, o.message_id"
            " FROM unnest(CAST(:tenants AS uuid[]), CAST(:keys AS text[])) AS k(tenant_id, ordering_key)"
            " CROSS JOIN LATERAL (SELECT * FROM hub.outbox"
            " WHERE tenant_id = k.tenant_id AND ordering_key = k.ordering_key"
            " AND (due_at <= now() OR after_trigger IS NOT NULL)"
            " ORDER BY message_id LIMIT 1000) o"
        ),
        {"tenants": [tenant for tenant, _ in keys], "keys": [key for _, key in keys]},
    )
    found: dict[tuple[uuid.UUID, str], list[uuid.UUID]] = {}
    for row in rows:
        found.setdefault((row.tenant_id, row.ordering_key), []).append(row.message_id)
    return found


class NewDelivery(msgspec.Struct, omit_defaults=True):
    """A delivery as it is written: `due`, `skipped`, or `leased` to its writer at once, which saves a claim."""

    id: uuid.UUID
    tenant_id: uuid.UUID
    message_id: uuid.UUID
    endpoint_id: uuid.UUID
    state: State
    reason: str | None = None
    ordering_key: str | None = None


_FAN_OUT = text(
    "WITH r AS MATERIALIZED (SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS r(id uuid, tenant_id uuid,"
    " message_id uuid, endpoint_id uuid, state text, reason text, ordering_key text)),"
    " made AS (INSERT INTO hub.delivery (id, tenant_id, message_id, endpoint_id, state, reason, ordering_key,"
    "   lease_owner, lease_until, fence, attempt, finished_at)"
    "   SELECT id, tenant_id, message_id, endpoint_id, state, reason, ordering_key,"
    "   CASE WHEN state = 'leased' THEN :owner END,"
    "   CASE WHEN state = 'leased' THEN now() + make_interval(secs => :lease) END,"
    "   CASE WHEN state = 'leased' THEN 1 ELSE 0 END, CASE WHEN state = 'leased' THEN 1 ELSE 0 END,"
    "   CASE WHEN state = 'skipped' THEN now() END FROM r),"
    " leased AS (INSERT INTO hub.delivery_lease (id, until, ids)"
    "   SELECT CAST(:lease_id AS uuid), now() + make_interval(secs => :lease), array_agg(id) FROM r"
    "   WHERE state = 'leased' HAVING count(*) > 0),"
    " ordered AS (INSERT INTO hub.delivery_order (endpoint_id, ordering_key, id)"
    "   SELECT endpoint_id, ordering_key, id FROM r WHERE state = 'due' AND ordering_key IS NOT NULL),"
    " waiting AS (INSERT INTO hub.delivery_waiting (endpoint_id, due_at, id)"
    "   SELECT endpoint_id, now(), id FROM r WHERE state = 'due' AND ordering_key IS NULL)"
    " DELETE FROM hub.outbox WHERE message_id = ANY (CAST(:done AS uuid[]))"
)


def fan_out(
    conn: Connection,
    rows: Sequence[NewDelivery],
    *,
    done: Sequence[uuid.UUID],
    owner: str,
    lease: float,
) -> None:
    """Write deliveries and take their messages out of the outbox: one statement for any number.

    Deliveries with an ordering key are due but not in line; see `LaneLedger.promote`.

    Args:
        conn: a connection inside the transaction that claimed the messages.
        rows: the deliveries.
        done: the messages that are fanned out completely.
        owner: who leases those whose state is `leased`; their fence and attempt are 1.
        lease: seconds.
    """
    conn.execute(
        _FAN_OUT,
        {
            "rows": msgspec.json.encode(rows).decode(),
            # A text: psycopg's array writer is Python, and asks each id twice.
            "done": "{" + ",".join([one.hex for one in done]) + "}",
            "owner": owner,
            "lease": lease,
            "lease_id": new_uuid(),
        },
    )


def note_reasons(conn: Connection, reasons: Mapping[uuid.UUID, str]) -> None:
    """Write why messages went to nobody. Served by message_pkey."""
    by_reason: dict[str, list[uuid.UUID]] = {}
    for message_id, reason in reasons.items():
        by_reason.setdefault(reason, []).append(message_id)
    for reason, ids in by_reason.items():
        conn.execute(
            text(
                "UPDATE hub.message SET reason = :reason WHERE id = ANY (CAST(:ids AS uuid[]))"
                " AND id BETWEEN CAST(:low AS uuid) AND CAST(:high AS uuid)"
            ),
            {"reason": reason, "ids": ids, "low": min(ids), "high": max(ids)},
        )


def advance_fan_out(conn: Connection, message_id: uuid.UUID, after: uuid.UUID) -> None:
    """A step of a large fan-out is done. Served by outbox_pkey."""
    conn.execute(update(outbox).where(outbox.c.message_id == message_id).values(after_endpoint=after))


def put_back(conn: Connection, after: Mapping[uuid.UUID, uuid.UUID]) -> None:
    """Messages that come again for what did not begin yet, behind all that are due now. Served by outbox_pkey.

    Args:
        conn: a connection inside the transaction that claimed the messages.
        after: what began last, by message.
    """
    conn.execute(
        text(
            "UPDATE hub.outbox o SET due_at = now(), after_trigger = b.after"
            " FROM unnest(CAST(:ids AS uuid[]), CAST(:afters AS uuid[])) AS b (id, after) WHERE o.message_id = b.id"
        ),
        {"ids": list(after), "afters": list(after.values())},
    )


def look(conn: Connection, full: Collection[uuid.UUID] = ()) -> tuple[bool, bool]:
    """Is a lane awake, and is there a message to fan out?

    Served by delivery_lane_wake_at_idx and outbox_due_at_idx.

    Args:
        conn: a connection.
        full: lanes for which the caller has no room.
    """
    row = conn.execute(
        text(
            "SELECT EXISTS (SELECT 1 FROM hub.delivery_lane"
            "   WHERE wake_at <= now() AND endpoint_id <> ALL (CAST(:full AS uuid[]))),"
            " EXISTS (SELECT 1 FROM hub.outbox WHERE due_at <= now())"
        ),
        {"full": list(full)},
    ).one()
    return row[0], row[1]


def load_messages(
    conn: Connection, ids: Collection[uuid.UUID], *, max_bytes: int | None = None
) -> dict[uuid.UUID, Row[Any]]:
    """Messages by id, for deliveries that were claimed. Served by message_pkey.

    Args:
        conn: a connection.
        ids: which ones.
        max_bytes: of data together: beyond it, `data` is None. The first one has its data in any case.
    """
    if not ids:
        return {}
    rows = conn.execute(
        text(
            "SELECT id, type, event_id, source, created_at, expires_at, expires_at < now() AS expired, traceparent,"
            " CASE WHEN CAST(:max_bytes AS bigint) IS NULL OR bytes <= :max_bytes OR bytes = size THEN data END AS data"
            " FROM (SELECT *, octet_length(data) AS size, sum(octet_length(data)) OVER (ORDER BY id) AS bytes"
            "         FROM hub.message WHERE id = ANY (CAST(:ids AS uuid[]))"
            "          AND id BETWEEN CAST(:low AS uuid) AND CAST(:high AS uuid)) m"
        ),
        {"ids": list(ids), "low": min(ids), "high": max(ids), "max_bytes": max_bytes},
    )
    return {row.id: row for row in rows}


def cancel_scheduled(conn: Connection, tenant_id: uuid.UUID, message_id: uuid.UUID) -> bool:
    """Take back a message that is not due yet; False: there is none, or it is under way. Served by primary keys."""
    gone = conn.execute(
        delete(outbox)
        .where(
            outbox.c.message_id == message_id,
            outbox.c.tenant_id == tenant_id,
            outbox.c.due_at > func.now(),
            outbox.c.after_endpoint.is_(None),
            outbox.c.after_trigger.is_(None),
        )
        .returning(outbox.c.message_id)
    ).one_or_none()
    if gone is None:
        return False
    note_reasons(conn, {message_id: "cancelled"})
    return True
