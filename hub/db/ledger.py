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
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Connection, Row, TextClause, text

from hub.core.ids import new_uuid
from hub.db.schema import SCHEMA
from hub.db.states import FINISHED, QUARANTINE_AFTER, QUARANTINED, State

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The finished states as a list in SQL.
FINISHED_SQL = ", ".join(f"'{state.value}'" for state in sorted(FINISHED))


class Attempt(msgspec.Struct):
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
    request_headers: msgspec.Raw | None = None
    response_headers: dict[str, str] | None = None
    response_body: bytes | None = None
    truncated: bool = False


class Completion(msgspec.Struct):
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


class _Row(msgspec.Struct, omit_defaults=True):
    """A completion as `complete` reads it: flat, without what is not set."""

    id: uuid.UUID
    tenant_id: uuid.UUID
    fence: int
    state: State
    step: int
    due_in: float = 0.0
    reason: str | None = None
    attempt_id: uuid.UUID | None = None
    number: int | None = None
    started_at: datetime | None = None
    outcome: str | None = None
    error_class: str | None = None
    message: str | None = None
    status: int | None = None
    peer: str | None = None
    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    total_ms: float | None = None
    request_headers: msgspec.Raw | None = None
    response_headers: dict[str, str] | None = None
    response_body: bytes | None = None
    truncated: bool = False


def _flat(done: Completion) -> _Row:
    a = done.attempt
    if a is None:
        return _Row(done.id, done.tenant_id, done.fence, done.state, done.step, done.due_in, done.reason)
    return _Row(
        done.id, done.tenant_id, done.fence, done.state, done.step, done.due_in, done.reason,
        new_uuid(), a.number, a.started_at, a.outcome, a.error_class, a.message, a.status, a.peer,
        a.dns_ms, a.connect_ms, a.tls_ms, a.first_byte_ms, a.total_ms,
        a.request_headers, a.response_headers or None, a.response_body or None, a.truncated,
    )  # fmt: skip


def completion_steps(table: str, returning: str = "") -> str:
    """The steps `result`, `written` and `kept` of a statement that ends leases and keeps their attempts.

    Args:
        table: the ledger's table.
        returning: what `written` returns of the row `t` beside `id` and `fence`.
    """
    also = returning and f", {returning}"
    return f"""
            result AS (
                SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS r(
                    id uuid, tenant_id uuid, fence int, state text, step int, due_in float8, reason text,
                    attempt_id uuid, number int, started_at timestamptz, outcome text, error_class text, message text,
                    status int, peer text, dns_ms real, connect_ms real, tls_ms real, first_byte_ms real,
                    total_ms real, request_headers json, response_headers json, response_body text, truncated bool)
            ), written AS (
                UPDATE {SCHEMA}.{table} t
                   SET state = r.state, step = r.step, reason = r.reason, lease_owner = NULL, lease_until = NULL,
                       due_at = CASE WHEN r.state = 'due' THEN now() + make_interval(secs => coalesce(r.due_in, 0))
                                     ELSE t.due_at END,
                       attempt = CASE WHEN r.attempt_id IS NULL THEN t.attempt - 1 ELSE t.attempt END,
                       lapses = CASE WHEN r.attempt_id IS NULL THEN t.lapses ELSE 0 END,
                       finished_at = CASE WHEN r.state IN ({FINISHED_SQL}) THEN now() END
                  FROM result r
                 -- The bounds spare the partitions of other days; the list keeps the planner from reading all that is
                 -- between them.
                 WHERE t.id = r.id AND t.id = ANY (ARRAY(SELECT id FROM result))
                   AND t.id BETWEEN CAST(:low AS uuid) AND CAST(:high AS uuid)
                   AND t.fence = r.fence AND t.state = 'leased'
                RETURNING t.id, t.fence{also}
            ), kept AS (
                INSERT INTO {SCHEMA}.attempt
                       (id, work_id, tenant_id, kind, number, fence, worker, started_at, outcome, late, error_class,
                        message, status, peer, dns_ms, connect_ms, tls_ms, first_byte_ms, total_ms,
                        request_headers, response_headers, response_body, truncated)
                SELECT r.attempt_id, r.id, r.tenant_id, '{table}', r.number, r.fence, :worker, r.started_at,
                       r.outcome, w.id IS NULL, r.error_class, r.message, r.status, r.peer, r.dns_ms, r.connect_ms,
                       r.tls_ms, r.first_byte_ms, r.total_ms, r.request_headers, r.response_headers,
                       decode(r.response_body, 'base64'), coalesce(r.truncated, false)
                  FROM result r LEFT JOIN written w ON w.id = r.id AND w.fence = r.fence
                 WHERE r.attempt_id IS NOT NULL
                -- The same batch sent again after a lost answer: its attempts are there already.
                ON CONFLICT DO NOTHING
            )"""


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

    def lease(self, chosen: str) -> TextClause:
        """A statement that leases rows, for `owner` and `lease` seconds, and returns them.

        Args:
            chosen: a query of the ids, which locks them and passes over those that are locked.
        """
        returning = ", ".join(("id", "tenant_id", "fence", "attempt", "step", *self.columns))
        return text(f"""
            UPDATE {SCHEMA}.{self.table}
               SET state = 'leased', lease_owner = :owner, lease_until = now() + make_interval(secs => :lease),
                   fence = fence + 1, attempt = attempt + 1
             WHERE id = ANY (ARRAY({chosen}))
            RETURNING {returning}""")

    @cached_property
    def _claim(self) -> TextClause:
        return self.lease(f"""
                   SELECT id FROM {SCHEMA}.{self.table}
                    WHERE state = 'due' AND due_at <= now()
                    ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED""")

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
            WITH {completion_steps(self.table)}
            SELECT id FROM written""")

    def prepare(self, completions: Sequence[Completion], *, worker: str) -> dict[str, Any]:
        """Turn completions into the parameters of one `complete` call.

        Kept apart so that a batch that must be sent again (the connection broke before the answer) carries the same
        attempt ids and cannot be recorded twice.

        One JSON text instead of an array for each column: psycopg's array writer is Python and cost a third of a
        worker's CPU, msgspec's JSON writer is C.
        """
        ids = [c.id for c in completions]
        return {
            "worker": worker,
            "rows": msgspec.json.encode([_flat(c) for c in completions]).decode(),
            "low": min(ids, default=None),
            "high": max(ids, default=None),
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
                   finished_at = CASE WHEN :to IN ({FINISHED_SQL}) THEN now() END
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
