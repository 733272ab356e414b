"""The ledger: how work is claimed, completed, handed back, held and swept, for every kind of work.

Promises
- A row is leased to one owner at a time; every claim raises its fence.
- A completion counts only with the fence of the current lease. A stale one changes nothing and is kept as a late
  attempt.
- A lease that lapses leaves an attempt `interrupted` and the row due again; `QUARANTINE_AFTER` lapses in a row hold
  it for a person to look at.
- Due and lease times are the database's clock, so workers' clocks do not matter.

Every call is one statement, whatever the number of rows. What a row means is left to its feature.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, TextClause, text

from hub.core.ids import new_uuid
from hub.db.schema import SCHEMA
from hub.db.states import FINISHED, QUARANTINE_AFTER, QUARANTINED, State

_FINISHED = ", ".join(f"'{state.value}'" for state in sorted(FINISHED))


@dataclass(slots=True)
class Attempt:
    """What one call did. Durations in milliseconds; texts already redacted and capped by the caller."""

    started_at: datetime
    outcome: str
    number: int
    error_class: str | None = None
    message: str | None = None
    status: int | None = None
    peer: str | None = None
    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    total_ms: float | None = None
    response_headers: dict[str, str] | None = None
    response_body: bytes | None = None
    truncated: bool = False


@dataclass(slots=True)
class Completion:
    """The end of one lease.

    Args:
        id: the row.
        tenant_id: its tenant (for the attempt).
        fence: the fence that the claim returned.
        state: where the row goes.
        step: its position in the retry schedule from now on.
        due_in: seconds from now until it is due; only with state DUE.
        reason: one word, see `ledger_columns`.
        attempt: what was done; None when nothing left the hub, then the claim's attempt is given back.
    """

    id: uuid.UUID
    tenant_id: uuid.UUID
    fence: int
    state: State
    step: int = 0
    due_in: float = 0.0
    reason: str | None = None
    attempt: Attempt | None = None


class Ledger:
    """One table of work.

    Args:
        table: its name in the schema, one of `hub.db.partitions.PARTITIONED` with ledger columns.
        columns: the feature's own columns that a claim returns beside `id, tenant_id, fence, attempt, step`.
    """

    def __init__(self, table: str, columns: Sequence[str] = ()) -> None:
        self.table = table
        self.columns = tuple(columns)

    # -- claim ----------------------------------------------------------------------------------------------------

    @cached_property
    def _claim(self) -> TextClause:
        returning = ", ".join(("id", "tenant_id", "fence", "attempt", "step", *self.columns))
        return text(f"""
            UPDATE {SCHEMA}.{self.table}
               SET state = 'leased', lease_owner = :owner, lease_until = now() + make_interval(secs => :lease),
                   fence = fence + 1, attempt = attempt + 1
             WHERE id = ANY (ARRAY(
                   SELECT id FROM {SCHEMA}.{self.table}
                    WHERE state = 'due' AND due_at <= now()
                    ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED))
            RETURNING {returning}""")

    def claim(self, conn: Connection, *, owner: str, limit: int, lease: float) -> Sequence[Row[Any]]:
        """Lease up to `limit` due rows, oldest first. Served by `<table>_due_idx`.

        Args:
            conn: a connection; commit right after, the claim is the record that work has begun.
            owner: who holds the lease (shown to people).
            limit: rows at most.
            lease: seconds until the rows may be given to somebody else.
        """
        return conn.execute(self._claim, {"owner": owner, "limit": limit, "lease": lease}).all()

    # -- complete -------------------------------------------------------------------------------------------------

    @cached_property
    def _complete(self) -> TextClause:
        return text(f"""
            WITH result AS (
                SELECT * FROM unnest(
                    CAST(:id AS uuid[]), CAST(:tenant AS uuid[]), CAST(:fence AS int[]), CAST(:state AS text[]),
                    CAST(:step AS int[]), CAST(:due_in AS float8[]), CAST(:reason AS text[]),
                    CAST(:attempt_id AS uuid[]), CAST(:number AS int[]), CAST(:started_at AS timestamptz[]),
                    CAST(:outcome AS text[]), CAST(:error_class AS text[]), CAST(:message AS text[]),
                    CAST(:status AS int[]), CAST(:peer AS text[]), CAST(:dns AS real[]), CAST(:connect AS real[]),
                    CAST(:tls AS real[]), CAST(:first AS real[]), CAST(:total AS real[]), CAST(:headers AS text[]),
                    CAST(:body AS bytea[]), CAST(:truncated AS bool[]))
                AS r(id, tenant_id, fence, state, step, due_in, reason, attempt_id, number, started_at, outcome,
                     error_class, message, status, peer, dns_ms, connect_ms, tls_ms, first_byte_ms, total_ms,
                     headers, body, truncated)
            ), written AS (
                UPDATE {SCHEMA}.{self.table} t
                   SET state = r.state, step = r.step, reason = r.reason, lease_owner = NULL, lease_until = NULL,
                       due_at = CASE WHEN r.state = 'due' THEN now() + make_interval(secs => r.due_in) ELSE t.due_at END,
                       attempt = CASE WHEN r.attempt_id IS NULL THEN t.attempt - 1 ELSE t.attempt END,
                       lapses = CASE WHEN r.attempt_id IS NULL THEN t.lapses ELSE 0 END,
                       finished_at = CASE WHEN r.state IN ({_FINISHED}) THEN now() END
                  FROM result r
                 WHERE t.id = r.id AND t.fence = r.fence AND t.state = 'leased'
                RETURNING t.id
            ), kept AS (
                INSERT INTO {SCHEMA}.attempt
                       (id, work_id, tenant_id, kind, number, fence, worker, started_at, outcome, late, error_class,
                        message, status, peer, dns_ms, connect_ms, tls_ms, first_byte_ms, total_ms,
                        response_headers, response_body, truncated)
                SELECT r.attempt_id, r.id, r.tenant_id, '{self.table}', r.number, r.fence, :worker, r.started_at,
                       r.outcome, w.id IS NULL, r.error_class, r.message, r.status, r.peer, r.dns_ms, r.connect_ms,
                       r.tls_ms, r.first_byte_ms, r.total_ms, CAST(r.headers AS json), r.body, r.truncated
                  FROM result r LEFT JOIN written w ON w.id = r.id
                 WHERE r.attempt_id IS NOT NULL
                -- The same batch sent again after a lost answer: its attempts are there already.
                ON CONFLICT DO NOTHING
            )
            SELECT id FROM written""")

    def prepare(self, completions: Sequence[Completion], *, worker: str) -> dict[str, Any]:
        """Turn completions into the parameters of one `complete` call.

        Kept apart so that a batch that must be sent again (the connection broke before the answer) carries the same
        attempt ids and cannot be recorded twice.
        """
        tries = [c.attempt for c in completions]
        return {
            "worker": worker,
            "id": [c.id for c in completions],
            "tenant": [c.tenant_id for c in completions],
            "fence": [c.fence for c in completions],
            "state": [c.state.value for c in completions],
            "step": [c.step for c in completions],
            "due_in": [c.due_in for c in completions],
            "reason": [c.reason for c in completions],
            "attempt_id": [new_uuid() if a else None for a in tries],
            "number": [a.number if a else None for a in tries],
            "started_at": [a.started_at if a else None for a in tries],
            "outcome": [a.outcome if a else None for a in tries],
            "error_class": [a.error_class if a else None for a in tries],
            "message": [a.message if a else None for a in tries],
            "status": [a.status if a else None for a in tries],
            "peer": [a.peer if a else None for a in tries],
            "dns": [a.dns_ms if a else None for a in tries],
            "connect": [a.connect_ms if a else None for a in tries],
            "tls": [a.tls_ms if a else None for a in tries],
            "first": [a.first_byte_ms if a else None for a in tries],
            "total": [a.total_ms if a else None for a in tries],
            "headers": [
                msgspec.json.encode(a.response_headers).decode() if a and a.response_headers else None for a in tries
            ],
            "body": [a.response_body or None if a else None for a in tries],
            "truncated": [a.truncated if a else False for a in tries],
        }

    def complete(self, conn: Connection, prepared: dict[str, Any]) -> set[uuid.UUID]:
        """End leases and record their attempts. Served by the primary key.

        Args:
            conn: a connection.
            prepared: from `prepare`.

        Returns:
            The ids that were written; the others' leases were no longer ours and their attempts are marked late.
        """
        return {row.id for row in conn.execute(self._complete, prepared)}

    # -- sweep ----------------------------------------------------------------------------------------------------

    @cached_property
    def _lapse(self) -> TextClause:
        return text(f"""
            WITH lapsed AS (
                SELECT id, lease_owner FROM {SCHEMA}.{self.table}
                 WHERE state = 'leased' AND lease_until < now()
                 ORDER BY lease_until LIMIT :limit FOR UPDATE SKIP LOCKED
            ), swept AS (
                UPDATE {SCHEMA}.{self.table} t
                   SET state = CASE WHEN t.lapses + 1 >= {QUARANTINE_AFTER} THEN 'held' ELSE 'due' END,
                       reason = CASE WHEN t.lapses + 1 >= {QUARANTINE_AFTER} THEN '{QUARANTINED}' END,
                       lapses = t.lapses + 1, due_at = now(), lease_owner = NULL, lease_until = NULL
                  FROM lapsed WHERE t.id = lapsed.id
                RETURNING t.id, t.tenant_id, t.attempt, t.fence, t.state, lapsed.lease_owner
            ), numbered AS (
                SELECT *, row_number() OVER () AS n FROM swept
            ), kept AS (
                INSERT INTO {SCHEMA}.attempt
                       (id, work_id, tenant_id, kind, number, fence, worker, started_at, outcome, error_class, message)
                SELECT (CAST(:ids AS uuid[]))[n], id, tenant_id, '{self.table}', attempt, fence, lease_owner, now(),
                       'interrupted', 'internal', 'The worker did not report back before its lease ended.'
                  FROM numbered
            )
            SELECT id, tenant_id, state FROM numbered""")

    def lapse(self, conn: Connection, *, limit: int = 500) -> Sequence[Row[Any]]:
        """Take back leases that ran out. Served by `<table>_lease_idx`. Safe to run anywhere, any number of times.

        Returns:
            `id, tenant_id, state` of each row: `due` again, or `held` when it is quarantined now.
        """
        return conn.execute(self._lapse, {"limit": limit, "ids": [new_uuid() for _ in range(limit)]}).all()

    @cached_property
    def _has_due(self) -> TextClause:
        return text(
            f"SELECT EXISTS (SELECT 1 FROM {SCHEMA}.{self.table} WHERE state = 'due' AND due_at <= now())"
        )

    def has_due(self, conn: Connection) -> bool:
        """Is there anything to claim? Served by `<table>_due_idx`."""
        return bool(conn.scalar(self._has_due))

    # -- moves that people and rules make ---------------------------------------------------------------------------

    def move(
        self,
        conn: Connection,
        tenant_id: uuid.UUID,
        ids: Sequence[uuid.UUID],
        *,
        to: State,
        allowed: Sequence[State],
        reason: str | None = None,
    ) -> set[uuid.UUID]:
        """Hold, resume, cancel or revive rows. Served by the primary key.

        A row that is leased meanwhile is taken from its worker: the state changes, so the worker's completion will
        not count.

        Args:
            conn: a connection.
            tenant_id: whose rows; others are left alone.
            ids: which rows.
            to: the new state.
            allowed: the states a row may come from; the others are left alone.
            reason: stored with the row.

        Returns:
            The ids that moved.
        """
        statement = text(f"""
            UPDATE {SCHEMA}.{self.table}
               SET state = :to, reason = :reason, due_at = CASE WHEN :to = 'due' THEN now() ELSE due_at END,
                   lease_owner = NULL, lease_until = NULL, lapses = 0,
                   finished_at = CASE WHEN :to IN ({_FINISHED}) THEN now() END
             WHERE id = ANY (:ids) AND tenant_id = :tenant AND state = ANY (:allowed)
            RETURNING id""")
        rows = conn.execute(
            statement,
            {
                "to": to.value,
                "reason": reason,
                "ids": list(ids),
                "tenant": tenant_id,
                "allowed": [state.value for state in allowed],
            },
        )
        return {row.id for row in rows}
