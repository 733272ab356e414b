"""What the audit log tells of calls that a worker refused.

They came through doors that do not judge operations, such as SQL and flows, or before the rules became stricter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.access import audit
from hub.core.ids import Kind, format_id
from hub.integrations.executions.accepting import REFUSED
from hub.integrations.pipeline.gate import NOT_ALLOWED

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from hub.integrations.executions.job import Ended

#: Executions that one entry names.
_NAMED = 20


def note_refused(conn: Connection, ended: Iterable[Ended]) -> None:
    """Note what the link `access` refused: one statement, or none.

    What one caller asked of one operation is one entry, however often: a flow may be refused with every event.

    Args:
        conn: the transaction that ends the executions.
        ended: those that are at their end.
    """
    refused: dict[tuple[uuid.UUID, uuid.UUID, uuid.UUID | None, str], list[Ended]] = {}
    for one in ended:
        if one.reason == NOT_ALLOWED:
            job = one.job
            key = (job.tenant_id, job.integration_id, job.caller, job.operation)
            refused.setdefault(key, []).append(one)
    if not refused:
        return
    audit.note_all(
        conn,
        [
            audit.Entry(
                tenant_id,
                caller,
                REFUSED,
                format_id(Kind.INTEGRATION, integration_id),
                {
                    "source": "worker",
                    "operations": [operation],
                    "executions": [format_id(Kind.EXECUTION, one.job.id) for one in found[:_NAMED]],
                    "count": len(found),
                    "why": (found[0].end.error or {}).get("message"),
                },
            )
            for (tenant_id, integration_id, caller, operation), found in refused.items()
        ],
    )
