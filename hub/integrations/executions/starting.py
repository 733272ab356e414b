"""Starts the schedules whose moment has come: one transaction for many, bounded in rows and in bytes of inputs.

A moment is started once: its schedule is locked, and moved on in the transaction that writes the execution.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hub.core.ids import Kind, format_id, new_uuid
from hub.integrations.executions import schedule_store
from hub.integrations.executions.accepting import Caller, note_refusal
from hub.integrations.executions.portions import TRANSACTION_BYTES, insert_in_portions
from hub.integrations.executions.refusing import refusal_of
from hub.integrations.executions.schedules import next_time
from hub.integrations.executions.store import NewExecution
from hub.integrations.executions.tracing import continue_trace

if TYPE_CHECKING:
    import uuid
    from datetime import datetime

    from sqlalchemy import Connection

    from hub.integrations.executions.accepting import Refused

log = logging.getLogger(__name__)

#: Schedules that one transaction starts at most.
_BATCH = 1000
#: Until one that cannot be read is looked at again.
_PUT_OFF = timedelta(hours=1)


def start_due(conn: Connection) -> list[str]:
    """Start schedules whose moment has come. Commit, then ring once for all of them; until nothing was started.

    An integration that is not active holds what was started, like any other execution. One whose access rules do not
    name the key that made the schedule (any more) refuses the moment; the audit log tells.

    Args:
        conn: a connection inside a transaction.

    Returns:
        The public ids of the executions.
    """
    due = schedule_store.lock_due(conn, limit=_BATCH, max_bytes=TRANSACTION_BYTES)
    if not due:
        return []
    by_tenant: dict[uuid.UUID, list[NewExecution]] = {}
    moved: list[tuple[uuid.UUID, datetime | None, datetime | None, uuid.UUID | None]] = []
    for row in due:
        started: uuid.UUID | None = None
        caller = Caller(row.created_by, row.roles or ())
        try:
            following = next_time(row._asdict(), row.moment, row.next_at)
            refusal = refusal_of(row.access, caller)
        except Exception as error:  # noqa: BLE001 - one that cannot be read must not stop those of everybody
            # Such as a time zone that the machine of the API knows, and this one does not; or rules that say nothing.
            log.error(  # noqa: TRY400 - a traceback would repeat with every look
                "Schedule %s cannot be started here (%s).",
                format_id(Kind.SCHEDULE, row.id),
                type(error).__name__,
            )
            moved.append((row.id, row.moment + _PUT_OFF, row.last_at, None))
            continue
        if row.running and row.overlap == "skip":
            pass
        elif refusal is not None:
            _note(conn, row, caller, refusal)
        else:
            started = new_uuid()
            by_tenant.setdefault(row.tenant_id, []).append(_execution(row, started))
        moved.append((row.id, following, row.next_at, started))
    new = [
        one
        for tenant_id, rows in by_tenant.items()
        for one in insert_in_portions(conn, tenant_id, "schedule", rows)
    ]
    schedule_store.move_on(conn, moved)
    return [format_id(Kind.EXECUTION, one) for one in new]


def _note(conn: Connection, row: Any, caller: Caller, refusal: Refused) -> None:
    note_refusal(
        conn,
        row.tenant_id,
        caller,
        row.integration_id,
        refusal,
        source="schedule",
        operations=[row.operation],
        schedule=format_id(Kind.SCHEDULE, row.id),
    )


def _execution(row: Any, started: uuid.UUID) -> NewExecution:
    return NewExecution(
        started,
        row.integration_id,
        row.operation,
        row.input,
        caller=row.created_by,
        schedule_id=row.id,
        traceparent=continue_trace(None),
    )
