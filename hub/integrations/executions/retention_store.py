"""The queries by which integrations keep their executions for a shorter time than the deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from hub.db.ledger import FINISHED_SQL

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from sqlalchemy import Connection


def shorter_retentions(conn: Connection, days: int) -> dict[uuid.UUID, int]:
    """The days of integrations that ask for fewer than these. Reads all of them; asked once a day."""
    rows = conn.execute(
        text(
            "SELECT id, CAST(data_policy ->> 'retention_days' AS int) AS days FROM hub.integration"
            " WHERE CAST(data_policy ->> 'retention_days' AS int) < :days"
        ),
        {"days": days},
    )
    return {row.id: row.days for row in rows}


def delete_finished(
    conn: Connection, integration_id: uuid.UUID, before: uuid.UUID, *, limit: int
) -> Sequence[uuid.UUID]:
    """Delete the oldest finished executions of an integration, with their attempts. Two statements.

    Served by execution_integration_id_id_idx of the partitions before, and attempt_pkey of those since the first.

    Args:
        conn: a connection inside a transaction.
        integration_id: whose.
        before: only ids below this one.
        limit: rows at most.

    Returns:
        Their ids.
    """
    gone = [
        row.id
        for row in conn.execute(
            text(
                "DELETE FROM hub.execution WHERE id < :before AND id IN ("  # noqa: S608 - our own states
                " SELECT id FROM hub.execution WHERE integration_id = :integration AND id < :before"
                f" AND state IN ({FINISHED_SQL}) ORDER BY id LIMIT :limit) RETURNING id"
            ),
            {"integration": integration_id, "before": before, "limit": limit},
        )
    ]
    if gone:
        conn.execute(
            text("DELETE FROM hub.attempt WHERE work_id = ANY (CAST(:ids AS uuid[])) AND id >= :first"),
            {"ids": gone, "first": min(gone)},
        )
    return gone
