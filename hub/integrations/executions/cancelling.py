"""Cancelling an execution that is not finished. It is an end like any other: those who listen are told of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hub.db.states import State
from hub.integrations.executions import store
from hub.integrations.executions.job import Ended, Job
from hub.integrations.executions.keeping import keep_input
from hub.integrations.executions.store import Result as End

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable

    from sqlalchemy import Engine

    from hub.integrations.executions.accepting import Doors
    from hub.integrations.executions.job import Announcing

_REASON = "cancelled"


def cancel(
    engine: Engine,
    doors: Doors,
    tenant_id: uuid.UUID,
    execution_id: uuid.UUID,
    announcer: Announcing | None = None,
) -> bool:
    """Cancel an execution, and tell of it in the same transaction; False when it is finished, or not there.

    The worker of a call that is under way cuts it off; its attempt is recorded and its result is dropped.

    Args:
        engine: the database.
        doors: know the integration, and with it what may be kept.
        tenant_id: whose.
        execution_id: which one.
        announcer: tells others of its end.
    """
    with engine.connect() as conn:
        row = store.find_execution(conn, tenant_id, execution_id)
        if row is None:
            return False
        target = doors.look(conn, tenant_id, row.integration_id)
        mapping = None if row.mapping is None else json.dumps(row.mapping)
        job = Job.of(row, input=row.input, mapping=mapping)
        ended = Ended(job, State.CANCELLED, _REASON, End(execution_id))
        if announcer is not None:
            announcer.load(conn, [job])
    if announcer is not None:
        # What a flow publishes may take seconds, in which a worker that records would wait for the row.
        announcer.make(ended)
    ring: Callable[[], None] | None = None
    with engine.begin() as conn:
        moved = store.EXECUTIONS.move(
            conn,
            tenant_id,
            [execution_id],
            to=State.CANCELLED,
            allowed=(State.DUE, State.LEASED, State.HELD),
            reason=_REASON,
        )
        if execution_id not in moved:
            return False
        mapped = row.mapping is not None
        kept = None if target is None else keep_input(target, row.input, State.CANCELLED, mapped=mapped)
        if kept is not None:
            store.write_results(conn, [End(execution_id, input=kept)])
        if announcer is not None:
            ring = announcer.announce(conn, [ended])
    if ring is not None:
        ring()
    return True
