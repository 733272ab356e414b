"""Sending again: revive deliveries that ended, make those that are missing, hasten retries; all go into their lanes.

From there they go as everything does that waits: by the limits of their endpoint, with first attempts of new events
before them. What was revived keeps its row, its history and its `webhook-id`, and gets a new `replay_no`; a retry
that is hastened is the one that its schedule planned, and nothing else of it changes. Strict ordering does not apply
to what ended: what came after it may have been delivered long ago.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.core.ids import child_uuid
from hub.db.states import State
from hub.webhooks.replay import scan_store
from hub.webhooks.store import DELIVERIES, NewDelivery, fan_out

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

    from hub.webhooks.replay.pages import Selected


def requeue(
    conn: Connection, tenant_id: uuid.UUID, selected: Sequence[Selected], *, allowed: Collection[State]
) -> list[uuid.UUID]:
    """Make all of these due.

    Args:
        conn: a connection inside a transaction that holds `scan_store.lock_making` if anything is to be made.
        tenant_id: whose.
        selected: what was found in this transaction.
        allowed: the states that a delivery may be in; one that moved on meanwhile is left alone.

    Returns:
        The deliveries that are due now.
    """
    if not selected:
        return []
    # All lanes at once, in their order: below they are touched in two turns.
    DELIVERIES.lock(conn, {one.endpoint_id for one in selected})
    revived = DELIVERIES.move(
        conn,
        tenant_id,
        [one.delivery_id for one in selected if one.delivery_id is not None],
        to=State.DUE,
        allowed=list(allowed),
    )
    made = [
        NewDelivery(child_uuid(one.message_id), tenant_id, one.message_id, one.endpoint_id, State.DUE)
        for one in selected
        if one.delivery_id is None
    ]
    if made:
        fan_out(conn, made, done=[], owner="", lease=0.0)
        scan_store.clear_reasons(conn, {one.message_id for one in made})
        DELIVERIES.wake(conn, {one.endpoint_id for one in made})
    return [*revived, *(one.id for one in made)]
