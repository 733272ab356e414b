"""The queries that let held executions go on, when what they waited for has come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from hub.integrations.pipeline.authenticating import NEEDS_REAUTH
from hub.integrations.pipeline.gate import OVER_QUOTA
from hub.integrations.registry.kinds import CALLABLE, HELD_BY_STATUS

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection

    from sqlalchemy import Connection


def release_held(conn: Connection, integration_id: uuid.UUID) -> list[uuid.UUID]:
    """Make due what waited for the integration's status. Served by execution_held_idx; the ids released."""
    rows = conn.execute(
        text(
            "UPDATE hub.execution SET state = 'due', reason = NULL, due_at = now()"
            " WHERE integration_id = :integration AND state = 'held' AND starts_with(reason, :held) RETURNING id"
        ),
        {"integration": integration_id, "held": HELD_BY_STATUS},
    )
    return [row.id for row in rows]


def release_orphans(conn: Connection, integration_id: uuid.UUID) -> list[uuid.UUID]:
    """Make due whatever waited for an integration that is deleted now: it fails with that reason.

    Served by execution_held_idx; the ids released.
    """
    rows = conn.execute(
        text(
            "UPDATE hub.execution SET state = 'due', reason = NULL, due_at = now()"
            " WHERE integration_id = :integration AND state = 'held' RETURNING id"
        ),
        {"integration": integration_id},
    )
    return [row.id for row in rows]


def release_needing_reauth(
    conn: Connection, integration_ids: Collection[uuid.UUID], *, only_granted: bool = False
) -> list[uuid.UUID]:
    """Make due what waited for a person to connect these integrations. Served by execution_held_idx; the ids released.

    Args:
        conn: a connection inside a transaction.
        integration_ids: which ones.
        only_granted: look whether they are granted by now, or deleted; the locks order this with the moment when they
            are.
    """
    granted = ""
    if only_granted:
        for table, column in (("integration_grant", "integration_id"), ("integration", "id")):
            conn.execute(
                text(
                    f"SELECT 1 FROM hub.{table} WHERE {column} = ANY (CAST(:ids AS uuid[]))"  # noqa: S608 - our own names
                    f" ORDER BY {column} FOR SHARE"
                ),
                {"ids": list(integration_ids)},
            )
        granted = (
            " AND (EXISTS (SELECT 1 FROM hub.integration_grant g"
            " WHERE g.integration_id = execution.integration_id AND g.state = 'active')"
            " OR NOT EXISTS (SELECT 1 FROM hub.integration i WHERE i.id = execution.integration_id))"
        )
    rows = conn.execute(
        text(
            "UPDATE hub.execution SET state = 'due', reason = NULL, due_at = now()"  # noqa: S608 - our own text
            " WHERE integration_id = ANY (CAST(:ids AS uuid[])) AND state = 'held' AND reason = :reason"
            f"{granted} RETURNING id"
        ),
        {"ids": list(integration_ids), "reason": NEEDS_REAUTH},
    )
    return [row.id for row in rows]


def release_over_quota(conn: Connection, integration_id: uuid.UUID) -> list[uuid.UUID]:
    """Make due what waits for the next day or month. Served by execution_due_integration_idx; the ids released."""
    rows = conn.execute(
        text(
            "UPDATE hub.execution SET due_at = now()"
            " WHERE integration_id = :integration AND state = 'due' AND reason = :reason AND due_at > now()"
            " RETURNING id"
        ),
        {"integration": integration_id, "reason": OVER_QUOTA},
    )
    return [row.id for row in rows]


def release_if_callable(conn: Connection, integration_ids: Collection[uuid.UUID]) -> None:
    """Release what was just held for integrations that may be called again since they were looked at.

    The lock orders this with a change of status: either it is seen here, or its own release sees the held rows.
    Served by integration_pkey and execution_held_idx.
    """
    held = sorted(set(integration_ids))
    rows = conn.execute(
        text(
            "SELECT id, status FROM hub.integration WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR SHARE"
        ),
        {"ids": held},
    ).all()
    waiting = {row.id for row in rows if row.status not in CALLABLE}
    for integration_id in held:
        # A deleted one is released as well: its executions then fail with that reason.
        if integration_id not in waiting:
            release_held(conn, integration_id)
