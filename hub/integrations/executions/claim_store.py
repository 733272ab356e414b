"""Which executions a worker takes, and how long it has them. Each statement is of all tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, TextClause, text

from hub.integrations.executions.store import EXECUTIONS

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence

#: The rows that are passed over for their size are locked until the commit, and taken by nobody else meanwhile: a
#: claim commits at once.
_WITHIN = (
    "SELECT id FROM (SELECT id, size, sum(size) OVER (ORDER BY due_at, id) AS bytes FROM ({}) AS due) AS weighed"
    " WHERE bytes <= :max_bytes OR bytes = size"
)
_CLAIM: TextClause = EXECUTIONS.lease(
    _WITHIN.format(
        "SELECT id, due_at, octet_length(input::text) AS size FROM hub.execution"
        " WHERE state = 'due' AND due_at <= now() ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED"
    )
)
_CLAIM_OF: TextClause = EXECUTIONS.lease(
    _WITHIN.format(
        "SELECT due.* FROM unnest(CAST(:integrations AS uuid[])) AS wanted (id) CROSS JOIN LATERAL ("
        " SELECT e.id, e.due_at, octet_length(e.input::text) AS size FROM hub.execution e"
        " WHERE e.state = 'due' AND e.integration_id = wanted.id AND e.due_at <= now()"
        " ORDER BY e.due_at LIMIT :each FOR UPDATE SKIP LOCKED) AS due LIMIT :limit"
    )
)


def claim(conn: Connection, *, owner: str, limit: int, max_bytes: int, lease: float) -> Sequence[Row[Any]]:
    """Lease due executions, oldest first, as `Ledger.claim` does. Served by execution_due_idx.

    Args:
        conn: a connection; commit right after.
        owner: who holds the lease.
        limit: rows at most.
        max_bytes: of their inputs together; the first one comes in any case.
        lease: seconds.
    """
    return conn.execute(
        _CLAIM, {"owner": owner, "limit": limit, "max_bytes": max_bytes, "lease": lease}
    ).all()


def claim_of(
    conn: Connection,
    integrations: Sequence[uuid.UUID],
    *,
    owner: str,
    limit: int,
    each: int,
    max_bytes: int,
    lease: float,
) -> Sequence[Row[Any]]:
    """The same of these integrations, `each` of one at most. Served by execution_due_integration_idx."""
    return conn.execute(
        _CLAIM_OF,
        {
            "integrations": list(integrations),
            "owner": owner,
            "limit": limit,
            "each": each,
            "max_bytes": max_bytes,
            "lease": lease,
        },
    ).all()


def waiting_integrations(conn: Connection, *, after: uuid.UUID, limit: int) -> list[uuid.UUID]:
    """Integrations that have executions which are due, now or later, in the order of their ids.

    It steps from one to the next, however many rows each has. Served by execution_due_integration_idx.

    Args:
        conn: a connection.
        after: those behind this one.
        limit: how many.
    """
    rows = conn.execute(
        text(
            "WITH RECURSIVE found AS ("
            " (SELECT integration_id, 1 AS n FROM hub.execution"
            " WHERE state = 'due' AND integration_id > CAST(:after AS uuid) ORDER BY integration_id LIMIT 1)"
            " UNION ALL SELECT next.integration_id, found.n + 1 FROM found CROSS JOIN LATERAL ("
            " SELECT e.integration_id FROM hub.execution e WHERE e.state = 'due'"
            " AND e.integration_id > found.integration_id ORDER BY e.integration_id LIMIT 1) AS next"
            " WHERE found.n < :limit) SELECT integration_id FROM found"
        ),
        {"after": after, "limit": limit},
    )
    return [row.integration_id for row in rows]


def extend_leases(conn: Connection, ids: Sequence[uuid.UUID], seconds: float) -> None:
    """Give rows that were just claimed a longer lease, for calls that may last. Served by execution_pkey."""
    conn.execute(
        text(
            "UPDATE hub.execution SET lease_until = now() + make_interval(secs => :seconds)"
            " WHERE id = ANY (CAST(:ids AS uuid[])) AND id BETWEEN :low AND :high"
        ),
        {"ids": list(ids), "seconds": seconds, "low": min(ids), "high": max(ids)},
    )


def still_leased(conn: Connection, claims: Mapping[uuid.UUID, int]) -> set[uuid.UUID]:
    """Which of these claims are still theirs: the others were cancelled, or lapsed. Served by execution_pkey.

    Args:
        conn: a connection.
        claims: fences by id, at least one.
    """
    rows = conn.execute(
        text(
            "SELECT id, fence FROM hub.execution WHERE id = ANY (CAST(:ids AS uuid[])) AND id BETWEEN :low AND :high"
            " AND state = 'leased'"
        ),
        {"ids": list(claims), "low": min(claims), "high": max(claims)},
    )
    return {row.id for row in rows if claims[row.id] == row.fence}
