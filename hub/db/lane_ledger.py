"""A ledger whose rows wait in lanes, for work that goes to many places of which some are slow, limited or broken.

A lane is one destination. What waits for it stands in its line, in order of due time; a claim looks at the lanes that
are awake and takes from each what its limits allow. So the cost of a claim does not depend on what waits elsewhere: a
million rows behind a lane that is held are one lane that is not looked at. Holding, releasing and limiting a lane is
one row, whatever waits in it.

Beside the promises of `hub.db.ledger`:
- A lane's limits (rows in flight, rows per second, one probe while its breaker is half open, the rate of a drain) are
  applied before the claim, by all workers together: what is over a limit costs no attempt.
- The ledger's own table has no index on anything that changes, so recording an outcome writes one row version on
  the same page and no index.
- Rows with an ordering key follow each other: of each key, only the first live one waits in its lane.

Which rows are leased is found through the lease that claimed them, a list of ids; the truth is in the rows.

Locks are taken in one order: ledger rows that are leased, then lanes by id, then ledger rows that wait. A claim skips
lanes that are locked and waits for none.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, TextClause, text

from hub.core.ids import new_uuid
from hub.db.lanes import Lanes
from hub.db.ledger import FINISHED_SQL, Ledger, completion_steps
from hub.db.schema import SCHEMA
from hub.db.states import QUARANTINE_AFTER, QUARANTINED, State

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Sequence

#: Lanes that one claim looks at.
_LANES = 64
#: When a quarantined row is due; Python cannot read `infinity`.
NEVER = "9999-12-31 00:00:00+00"


class LaneLedger(Lanes, Ledger):
    """One table of work whose rows wait in lanes.

    Args:
        table: its name; made with `hub.db.models.lane_tables`.
        lane: the column that names a row's lane.
        columns: the feature's own columns that a claim returns.
    """

    def __init__(self, table: str, lane: str, columns: Sequence[str] = ()) -> None:
        Lanes.__init__(self, table, lane)
        Ledger.__init__(self, table, columns)

    # -- claim ----------------------------------------------------------------------------------------------------

    @cached_property
    def _claim(self) -> TextClause:
        returning = ", ".join(
            f"d.{column}" for column in ("id", "tenant_id", "fence", "attempt", "step", *self.columns)
        )
        lane = self.lane
        return text(f"""
            WITH picked AS (
                SELECT *, ctid AS version FROM {self._lanes}
                 WHERE wake_at <= now() AND {lane} <> ALL (CAST(:full AS uuid[]))
                 ORDER BY wake_at LIMIT least({_LANES}, CAST(:limit AS int)) FOR UPDATE SKIP LOCKED
            ), refilled AS (
                SELECT p.*, (CAST(:limit AS int) + count(*) OVER () - row_number() OVER ()) / count(*) OVER ()
                            * p.batch_size AS share,
                       CASE WHEN p.draining THEN least(p.rate, p.drain_rate) ELSE p.rate END AS pace,
                       -- Somebody wrote it after this statement began: what was put into its line is not seen here.
                       s.ctid IS DISTINCT FROM p.version AS changed
                  FROM picked p LEFT JOIN {self._lanes} s ON s.{lane} = p.{lane}
            ), budget AS (
                SELECT *, CASE WHEN pace IS NOT NULL THEN
                              least(tokens + pace * extract(epoch FROM now() - refilled_at)::float8, greatest(pace, 1))
                          END AS available
                  FROM refilled
            ), allowed AS (
                SELECT *, CASE WHEN hold IS NOT NULL THEN 1
                               ELSE greatest(0, least(share, max_in_flight * batch_size - in_flight,
                                                      floor(available)::int * batch_size)) END AS quota
                  FROM budget
            ), entry AS (
                SELECT a.{lane}, w.tid, w.id, w.due_at, w.n <= a.quota AND w.due_at <= now() AS wanted
                  FROM allowed a CROSS JOIN LATERAL (
                    SELECT q.*, row_number() OVER (ORDER BY due_at, id) AS n
                      FROM (SELECT ctid AS tid, id, due_at FROM {self._line}
                             WHERE {lane} = a.{lane} ORDER BY due_at, id LIMIT a.quota + 1) q) w
            ), taken AS (
                DELETE FROM {self._line} WHERE ctid = ANY (ARRAY(SELECT tid FROM entry WHERE wanted))
                RETURNING {lane}, id
            ), claimed AS (
                UPDATE {self._rows} d
                   SET state = 'leased', lease_owner = :owner, lease_until = now() + make_interval(secs => :lease),
                       fence = fence + 1, attempt = attempt + 1,
                       counted = d.{lane} = ANY (ARRAY(SELECT {lane} FROM picked WHERE max_in_flight IS NOT NULL))
                 WHERE d.id = ANY (ARRAY(SELECT id FROM taken)) AND d.state = 'due'
                   AND d.id >= (SELECT id FROM taken ORDER BY id LIMIT 1)
                   AND d.id <= (SELECT id FROM taken ORDER BY id DESC LIMIT 1)
                RETURNING {returning}
            ), leased AS (
                INSERT INTO {self._leases} (id, until, ids)
                SELECT CAST(:lease_id AS uuid), now() + make_interval(secs => :lease), array_agg(id) FROM claimed
                HAVING count(*) > 0
            ), settled AS (
                SELECT a.{lane}, a.available, a.pace, a.changed, count(t.id)::int AS taken,
                       min(e.due_at) FILTER (WHERE t.id IS NULL) AS next_at
                  FROM allowed a LEFT JOIN entry e ON e.{lane} = a.{lane} LEFT JOIN taken t ON t.id = e.id
                 GROUP BY a.{lane}, a.available, a.pace, a.changed
            ), slept AS (
                UPDATE {self._lanes} l
                   SET in_flight = l.in_flight + CASE WHEN l.max_in_flight IS NULL THEN 0 ELSE s.taken END,
                       tokens = CASE WHEN s.pace IS NULL THEN 0
                                     ELSE s.available - ceil(s.taken::float8 / l.batch_size) END,
                       refilled_at = now(),
                       draining = l.draining AND (s.changed OR coalesce(s.next_at <= now(), false)),
                       -- A probe is under way: the next one only if its worker is never heard of again.
                       hold_until = CASE WHEN l.hold IS NOT NULL AND s.taken > 0
                                         THEN now() + make_interval(secs => :lease) ELSE l.hold_until END,
                       wake_at = CASE
                           WHEN l.hold IS NOT NULL AND s.taken > 0 THEN now() + make_interval(secs => :lease)
                           WHEN s.changed THEN now()
                           WHEN s.next_at IS NULL OR s.next_at > now() THEN
                               s.next_at + make_interval(secs => l.batch_wait)
                           -- At its limit of calls: a completion wakes it, or, should that be lost, time.
                           WHEN l.in_flight + s.taken >= l.max_in_flight * l.batch_size THEN now() + interval '5 s'
                           WHEN s.available - ceil(s.taken::float8 / l.batch_size) < 1 THEN
                               now() + make_interval(secs => greatest(0.05, (1 - s.available
                                                     + ceil(s.taken::float8 / l.batch_size)) / s.pace))
                           ELSE now() END
                  FROM settled s WHERE l.{lane} = s.{lane}
            )
            SELECT c.*, a.hold IS NOT NULL AS probe FROM claimed c JOIN allowed a ON a.{lane} = c.{lane}
             ORDER BY c.id""")

    def claim(
        self, conn: Connection, *, owner: str, limit: int, lease: float, full: Collection[uuid.UUID] = ()
    ) -> Sequence[Row[Any]]:
        """Lease up to `limit` due rows, shared among the lanes that are awake, each by its limits.

        Served by `<table>_lane_wake_at_idx` and, within each lane, by the primary key of its line.

        Args:
            conn: a connection; commit right after.
            owner: who holds the lease.
            limit: calls at most; a lane with batches counts a batch as one.
            lease: seconds until the rows may be given to somebody else.
            full: lanes for which the caller has no room.

        Returns:
            The rows by id, and whether each is its lane's `probe`.
        """
        values = {
            "owner": owner, "limit": limit, "lease": lease, "full": list(full), "lease_id": new_uuid(),
        }  # fmt: skip
        return conn.execute(self._claim, values).all()

    @cached_property
    def _has_due(self) -> TextClause:
        return text(f"SELECT EXISTS (SELECT 1 FROM {self._lanes} WHERE wake_at <= now())")

    # -- complete -------------------------------------------------------------------------------------------------

    def _woken(self, source: str, also: str = "false") -> str:
        """Steps that put rows back into their lines and tell their lanes.

        Args:
            source: a step with `id, lane, state, due_at, counted, ordering_key` of rows whose lease ended.
            also: a condition on `lane` and `keyed` (rows with an ordering key ended) for further lanes to be locked.
        """
        return f"""
            retried AS (
                INSERT INTO {self._line} ({self.lane}, due_at, id)
                SELECT lane, due_at, id FROM {source} WHERE state IN ('due', 'held')
            ), touched AS (
                SELECT lane, count(*) FILTER (WHERE counted)::int AS ended,
                       min(due_at) FILTER (WHERE state = 'due') AS due,
                       bool_or(ordering_key IS NOT NULL AND state IN ({FINISHED_SQL})) AS keyed
                  FROM {source} GROUP BY lane
            ), locked AS (
                SELECT t.* FROM {self._lanes} l JOIN touched t ON t.lane = l.{self.lane}
                 WHERE t.due IS NOT NULL OR t.ended > 0 OR {also}
                 ORDER BY l.{self.lane} FOR UPDATE OF l
            ), woken AS (
                UPDATE {self._lanes} l
                   SET in_flight = l.in_flight - k.ended,
                       wake_at = CASE WHEN l.hold IS NOT NULL THEN l.hold_until
                                      WHEN l.in_flight >= l.max_in_flight * l.batch_size THEN least(l.wake_at, now())
                                      ELSE least(l.wake_at, k.due + make_interval(secs => l.batch_wait)) END
                  FROM locked k WHERE l.{self.lane} = k.lane AND (k.due IS NOT NULL OR k.ended > 0)
            )"""

    @cached_property
    def _complete(self) -> TextClause:
        return text(f"""
            WITH {completion_steps(self.table, f"t.{self.lane} AS lane, t.state, t.due_at, t.counted, t.ordering_key")},
            {self._woken("written", "t.keyed OR t.lane = ANY (CAST(:lock AS uuid[]))")}
            SELECT id, lane, state, ordering_key FROM written""")

    def complete(
        self, conn: Connection, prepared: dict[str, Any], lock: Collection[uuid.UUID] = ()
    ) -> set[uuid.UUID]:
        """End leases, record their attempts, put retries back into their lanes. Served by primary keys.

        Args:
            conn: a connection.
            prepared: from `prepare`.
            lock: lanes of these rows that are held or released next: locked with the others, in one order.

        Returns:
            The ids that were written; the others' leases were no longer ours and their attempts are marked late.
        """
        rows = conn.execute(self._complete, {**prepared, "lock": list(lock)}).all()
        if ended := [row for row in rows if row.ordering_key is not None and State(row.state).finished]:
            self._advance(conn, ended)
        return {row.id for row in rows}

    # -- sweep ----------------------------------------------------------------------------------------------------

    @cached_property
    def _lapse(self) -> TextClause:
        return text(f"""
            WITH lapsed AS (
                SELECT id, lease_owner FROM {self._rows}
                 WHERE id = ANY (CAST(:ids AS uuid[])) AND id BETWEEN CAST(:low AS uuid) AND CAST(:high AS uuid)
                   AND state = 'leased' AND lease_until < now()
                 ORDER BY id FOR UPDATE
            ), swept AS (
                UPDATE {self._rows} t
                   SET state = CASE WHEN t.lapses + 1 >= {QUARANTINE_AFTER} THEN 'held' ELSE 'due' END,
                       reason = CASE WHEN t.lapses + 1 >= {QUARANTINE_AFTER} THEN '{QUARANTINED}' END,
                       lapses = t.lapses + 1, lease_owner = NULL, lease_until = NULL,
                       -- A quarantined row stands in line too, for ever: what is live is in a line or leased.
                       due_at = CASE WHEN t.lapses + 1 >= {QUARANTINE_AFTER} THEN '{NEVER}' ELSE now() END
                  FROM lapsed
                 WHERE t.id = lapsed.id AND t.id = ANY (ARRAY(SELECT id FROM lapsed))
                   AND t.id BETWEEN CAST(:low AS uuid) AND CAST(:high AS uuid)
                RETURNING t.id, t.tenant_id, t.{self.lane} AS lane, t.attempt, t.fence, t.state, t.due_at,
                          t.counted, t.ordering_key, lapsed.lease_owner
            ), {self._woken("swept")}, kept AS (
                INSERT INTO {SCHEMA}.attempt
                       (id, work_id, tenant_id, kind, number, fence, worker, started_at, outcome, error_class, message)
                SELECT {SCHEMA}.uuid7(), id, tenant_id, '{self.table}', attempt, fence, lease_owner, now(),
                       'interrupted', 'internal', 'The worker did not report back before its lease ended.'
                  FROM swept
            )
            SELECT id, tenant_id, state FROM swept""")

    def lapse(self, conn: Connection, *, limit: int = 20) -> Sequence[Row[Any]]:
        """Take back what is still leased of leases that ran out. Served by `<table>_lease_until_idx`.

        Args:
            conn: a connection.
            limit: leases at most.

        Returns:
            `id, tenant_id, state` of each row: `due` again, or `held` when it is quarantined now.
        """
        over = text(f"""
            DELETE FROM {self._leases} WHERE id = ANY (ARRAY(
                SELECT id FROM {self._leases} WHERE until < now() ORDER BY until LIMIT :limit
                   FOR UPDATE SKIP LOCKED))
            RETURNING ids""")
        # Of most leases everything was completed long ago: on to the first one of which something is left.
        while leases := conn.execute(over, {"limit": limit}).all():
            ids = [row_id for lease in leases for row_id in lease.ids]
            if rows := conn.execute(self._lapse, {"ids": ids, "low": min(ids), "high": max(ids)}).all():
                return rows
        return []

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
        """Cancel, skip or revive rows. Served by primary keys.

        A row that is leased meanwhile is taken from its worker: the state changes, so the worker's completion will
        not count.

        Args:
            conn: a connection.
            tenant_id: whose rows; others are left alone.
            ids: which rows.
            to: the new state: `due` (a revived row gets a new `replay_no`) or a finished one.
            allowed: the states a row may come from; the others are left alone.
            reason: stored with the row.

        Returns:
            The ids that moved.
        """
        if not ids:
            return set()
        values = {
            "ids": list(ids), "low": min(ids), "high": max(ids), "tenant": tenant_id,
            "to": to.value, "reason": reason, "allowed": [state.value for state in allowed],
        }  # fmt: skip
        mine = """t.id = ANY (CAST(:ids AS uuid[])) AND t.id BETWEEN CAST(:low AS uuid) AND CAST(:high AS uuid)
                  AND t.tenant_id = :tenant"""
        # Leased rows before lanes, as their workers do; what they are just recording, or lease from now on, stays.
        leased: Sequence[uuid.UUID] = ()
        if State.LEASED in allowed:
            first = text(
                f"SELECT id FROM {self._rows} t WHERE {mine} AND state = 'leased' ORDER BY id FOR UPDATE SKIP LOCKED"
            )
            leased = conn.scalars(first, values).all()
        values["leased"] = list(leased)
        lanes = conn.scalars(
            text(f"SELECT DISTINCT {self.lane} FROM {self._rows} t WHERE {mine}"), values
        ).all()
        self.lock(conn, lanes)
        rows = conn.execute(
            text(f"""
                WITH old AS (
                    SELECT t.id, t.{self.lane} AS lane, t.state, t.due_at FROM {self._rows} t
                     WHERE {mine} AND t.state = ANY (:allowed)
                       AND (t.state <> 'leased' OR t.id = ANY (CAST(:leased AS uuid[])))
                       FOR UPDATE
                ), moved AS (
                    UPDATE {self._rows} t
                       SET state = :to, reason = :reason, lease_owner = NULL, lease_until = NULL, lapses = 0,
                           due_at = CASE WHEN :to = 'due' THEN now() ELSE t.due_at END,
                           replay_no = t.replay_no
                                       + CASE WHEN :to = 'due' AND old.state IN ({FINISHED_SQL}) THEN 1 ELSE 0 END,
                           finished_at = CASE WHEN :to IN ({FINISHED_SQL}) THEN now() END
                      FROM old WHERE t.id = old.id AND {mine}
                    RETURNING t.id, old.lane, old.state AS was, old.due_at AS was_due_at, t.due_at, t.ordering_key,
                              t.counted
                ), out_of_line AS (
                    DELETE FROM {self._line} w USING moved m
                     WHERE w.{self.lane} = m.lane AND w.due_at = m.was_due_at AND w.id = m.id
                ), freed AS (
                    UPDATE {self._lanes} l
                       SET in_flight = l.in_flight - f.n,
                           wake_at = CASE WHEN l.hold IS NULL THEN least(l.wake_at, now()) ELSE l.wake_at END
                      FROM (SELECT lane, count(*)::int AS n FROM moved WHERE was = 'leased' AND counted GROUP BY lane) f
                     WHERE l.{self.lane} = f.lane
                )
                SELECT id, lane, CASE WHEN :to = 'due' THEN due_at END AS due_at, ordering_key FROM moved"""),
            values,
        ).all()
        if to is State.DUE and rows:
            self._enter(conn, rows)
        elif ended := [row for row in rows if row.ordering_key is not None]:
            self._advance(conn, ended)
        return {row.id for row in rows}

    def sweep_discarded(self, conn: Connection, *, limit: int = 2000, keep: str) -> int:
        """Cancel up to `limit` rows of one lane that is to be emptied. Served by `<table>_lane_discard_idx`.

        Args:
            conn: a connection.
            limit: rows at most.
            keep: the reason whose lanes go on being emptied: of destinations that are gone.

        Returns:
            How many were cancelled; 0: there is nothing to do.
        """
        lane = conn.execute(
            text(f"""
                SELECT {self.lane} AS id, tenant_id, discard FROM {self._lanes} l
                 WHERE discard IS NOT NULL
                   AND (discard <> :keep OR EXISTS (SELECT 1 FROM {self._line} w WHERE w.{self.lane} = l.{self.lane}))
                 ORDER BY {self.lane} LIMIT 1 FOR UPDATE SKIP LOCKED"""),
            {"keep": keep},
        ).one_or_none()
        if lane is None:
            return 0
        ids = conn.scalars(
            text(f"SELECT id FROM {self._line} WHERE {self.lane} = :lane ORDER BY due_at, id LIMIT :limit"),
            {"lane": lane.id, "limit": limit},
        ).all()
        if ids:
            self.move(
                conn,
                lane.tenant_id,
                ids,
                to=State.CANCELLED,
                allowed=[State.DUE, State.HELD],
                reason=lane.discard,
            )
        elif lane.discard != keep:
            conn.execute(
                text(f"UPDATE {self._lanes} SET discard = NULL WHERE {self.lane} = :lane"), {"lane": lane.id}
            )
            return self.sweep_discarded(conn, limit=limit, keep=keep)
        return len(ids)
