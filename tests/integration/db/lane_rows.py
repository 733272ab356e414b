"""Deliveries and lanes as tests of `LaneLedger` need them, without events and endpoints around them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from hub.core.ids import new_uuid
from hub.db.lanes import Limits
from hub.webhooks.store import DELIVERIES

NO_LIMITS = Limits()


def make_lanes(
    conn: Connection, count: int, *, tenant: uuid.UUID, limits: Limits = NO_LIMITS
) -> list[uuid.UUID]:
    """Make lanes; their ids ascend."""
    lanes = [new_uuid() for _ in range(count)]
    for lane in lanes:
        DELIVERIES.configure(conn, tenant, lane, limits)
    return lanes


def enter(
    conn: Connection,
    lane: uuid.UUID,
    count: int,
    *,
    tenant: uuid.UUID,
    key: str | None = None,
    at: datetime | None = None,
    wake: bool = True,
) -> list[uuid.UUID]:
    """Put new deliveries into a lane as fan-out does, in one transaction of the caller's; their ids ascend.

    Args:
        conn: a connection.
        lane: which lane.
        count: how many.
        tenant: whose.
        key: of ordering; None: they do not wait for each other.
        at: when they are due; None: now.
        wake: let the lane know.
    """
    ids = [new_uuid() for _ in range(count)]
    values = {"ids": ids, "lane": lane, "tenant": tenant, "key": key, "at": at}
    conn.execute(
        text(
            "INSERT INTO hub.delivery (id, tenant_id, message_id, endpoint_id, ordering_key, due_at)"
            " SELECT id, :tenant, id, :lane, :key, coalesce(CAST(:at AS timestamptz), now())"
            " FROM unnest(CAST(:ids AS uuid[])) AS i(id)"
        ),
        values,
    )
    if key is None:
        conn.execute(
            text(
                "INSERT INTO hub.delivery_waiting (endpoint_id, due_at, id)"
                " SELECT :lane, coalesce(CAST(:at AS timestamptz), now()), id FROM unnest(CAST(:ids AS uuid[])) AS i(id)"
            ),
            values,
        )
    else:
        conn.execute(
            text(
                "INSERT INTO hub.delivery_order (endpoint_id, ordering_key, id)"
                " SELECT :lane, :key, id FROM unnest(CAST(:ids AS uuid[])) AS i(id)"
            ),
            values,
        )
        DELIVERIES.lock(conn, [lane])
        DELIVERIES.promote(conn, [(lane, key)])
    if wake:
        DELIVERIES.wake(conn, [lane])
    return ids


def lease_at_fan_out(
    conn: Connection, lane: uuid.UUID, count: int, *, tenant: uuid.UUID, owner: str, lease: float
) -> Sequence[uuid.UUID]:
    """New deliveries that never waited: they are written leased, with fence and attempt 1."""
    ids = [new_uuid() for _ in range(count)]
    values = {
        "ids": ids,
        "lane": lane,
        "tenant": tenant,
        "owner": owner,
        "lease": lease,
        "lease_id": new_uuid(),
    }
    conn.execute(
        text(
            "WITH made AS (INSERT INTO hub.delivery (id, tenant_id, message_id, endpoint_id, state, lease_owner,"
            "  lease_until, fence, attempt, due_at)"
            " SELECT id, :tenant, id, :lane, 'leased', :owner, now() + make_interval(secs => :lease), 1, 1, now()"
            " FROM unnest(CAST(:ids AS uuid[])) AS i(id))"
            " INSERT INTO hub.delivery_lease (id, until, ids)"
            " VALUES (:lease_id, now() + make_interval(secs => :lease), :ids)"
        ),
        values,
    )
    return ids
