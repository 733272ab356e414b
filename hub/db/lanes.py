"""Lanes: one row for each destination of a `hub.db.lane_ledger`, with its limits and its hold; and what stands in them.

Holding, releasing and limiting a lane is one row, whatever waits in it. Locks on lanes are taken in the order of their
ids, and after those of ledger rows that are leased.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, text

from hub.db.schema import SCHEMA

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Sequence
    from datetime import timedelta

#: Why a lane that its breaker closed may be tried again: one row at a time, until one succeeds.
BREAKER = "breaker_open"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a lane may do.

    Args:
        max_in_flight: calls at once, over all workers; None: no limit of its own.
        rate: calls per second.
        drain_rate: rows per second while it catches up after a hold.
        batch_size: rows of one call.
        batch_wait: seconds that the first row of a call waits for company.
    """

    max_in_flight: int | None = None
    rate: float | None = None
    drain_rate: float | None = None
    batch_size: int = 1
    batch_wait: float = 0.0

    @property
    def metered(self) -> bool:
        """Every row has to pass its lane: there is something to count."""
        return self.max_in_flight is not None or self.rate is not None or self.batch_size > 1


class Lanes:
    """The lanes of one ledger, and what waits in them.

    Args:
        table: the ledger's name; made with `hub.db.models.lane_tables`.
        lane: the column that names a row's lane.
    """

    def __init__(self, table: str, lane: str) -> None:
        self.lane = lane
        prefix = f"{SCHEMA}.{table}"
        self._rows, self._lanes, self._line = prefix, f"{prefix}_lane", f"{prefix}_waiting"
        self._leases, self._order = f"{prefix}_lease", f"{prefix}_order"

    def configure(self, conn: Connection, tenant_id: uuid.UUID, lane_id: uuid.UUID, limits: Limits) -> None:
        """Make a lane, or change its limits. Served by the lanes' primary key."""
        conn.execute(
            text(f"""
                INSERT INTO {self._lanes} AS l ({self.lane}, tenant_id, max_in_flight, rate, drain_rate, batch_size,
                       batch_wait)
                VALUES (:lane, :tenant, :max_in_flight, :rate, :drain_rate, :batch_size, :batch_wait)
                ON CONFLICT ({self.lane}) DO UPDATE
                   SET max_in_flight = excluded.max_in_flight, rate = excluded.rate, drain_rate = excluded.drain_rate,
                       batch_size = excluded.batch_size, batch_wait = excluded.batch_wait,
                       wake_at = CASE WHEN l.hold IS NULL THEN least(l.wake_at, now()) ELSE l.wake_at END"""),
            {
                "lane": lane_id, "tenant": tenant_id, "max_in_flight": limits.max_in_flight, "rate": limits.rate,
                "drain_rate": limits.drain_rate, "batch_size": limits.batch_size, "batch_wait": limits.batch_wait,
            },
        )  # fmt: skip

    def lock(self, conn: Connection, lane_ids: Collection[uuid.UUID]) -> None:
        """Keep claims away from lanes until the transaction ends. Served by the lanes' primary key."""
        conn.execute(
            text(
                f"SELECT 1 FROM {self._lanes} WHERE {self.lane} = ANY (CAST(:ids AS uuid[]))"
                f" ORDER BY {self.lane} FOR UPDATE"
            ),
            {"ids": list(lane_ids)},
        )

    def wake(self, conn: Connection, lane_ids: Collection[uuid.UUID]) -> None:
        """Something that is due now was put into these lanes' lines. Served by primary keys.

        A lane with batches wakes at once when there is a full one, else after its wait.
        """
        conn.execute(
            text(f"""
                WITH locked AS (
                    SELECT {self.lane} FROM {self._lanes} WHERE {self.lane} = ANY (CAST(:ids AS uuid[]))
                     ORDER BY {self.lane} FOR UPDATE
                )
                UPDATE {self._lanes} l
                   SET wake_at = CASE
                       WHEN l.hold IS NOT NULL THEN l.hold_until
                       WHEN l.batch_size > 1 AND l.batch_size > (
                            SELECT count(*) FROM (SELECT 1 FROM {self._line} w WHERE w.{self.lane} = l.{self.lane}
                                                   ORDER BY w.due_at, w.id LIMIT l.batch_size) few)
                       THEN least(l.wake_at, now() + make_interval(secs => l.batch_wait))
                       ELSE least(l.wake_at, now()) END
                  FROM locked WHERE l.{self.lane} = locked.{self.lane}"""),
            {"ids": list(lane_ids)},
        )

    def hold(
        self, conn: Connection, lane_id: uuid.UUID, reason: str, *, seconds: float | None = None
    ) -> bool:
        """Claim nothing from a lane; what waits stays where it is. Served by the lanes' primary key.

        A hold of a person's making is not replaced by a breaker's.

        Args:
            conn: a connection.
            lane_id: which one.
            reason: shown with everything that waits there.
            seconds: until it is tried again, for `BREAKER`; None: until it is released.

        Returns:
            Whether it is held for this reason now.
        """
        row = conn.execute(
            text(f"""
                UPDATE {self._lanes}
                   SET hold = :reason, holds = CASE WHEN :reason = '{BREAKER}' THEN least(holds + 1, 30) ELSE 0 END,
                       hold_until = coalesce(now() + make_interval(secs => CAST(:seconds AS float8)), 'infinity'),
                       wake_at = coalesce(now() + make_interval(secs => CAST(:seconds AS float8)), 'infinity')
                 WHERE {self.lane} = :lane AND (:reason <> '{BREAKER}' OR hold IS NULL OR hold = '{BREAKER}')
                RETURNING 1"""),
            {"lane": lane_id, "reason": reason, "seconds": seconds},
        ).one_or_none()
        return row is not None

    def release(self, conn: Connection, lane_id: uuid.UUID, *, only: str | None = None) -> bool:
        """End a hold; what waits is sent at the lane's drain rate. Served by the lanes' primary key.

        Args:
            conn: a connection.
            lane_id: which one.
            only: only if it is held for this reason.

        Returns:
            Whether it was held.
        """
        row = conn.execute(
            text(f"""
                UPDATE {self._lanes}
                   SET hold = NULL, hold_until = NULL, holds = 0, draining = drain_rate IS NOT NULL, wake_at = now(),
                       -- A tenth of a second's worth at once: a short line need not wait.
                       tokens = coalesce(least(rate, drain_rate), 0) / 10, refilled_at = now()
                 WHERE {self.lane} = :lane AND hold IS NOT NULL AND (CAST(:only AS text) IS NULL OR hold = :only)
                RETURNING 1"""),
            {"lane": lane_id, "only": only},
        ).one_or_none()
        return row is not None

    def held(self, conn: Connection, reason: str) -> dict[uuid.UUID, int]:
        """The lanes that are held for this reason, with how often in a row. Served by `<table>_lane_hold_idx`."""
        rows = conn.execute(
            text(f"SELECT {self.lane} AS lane, holds FROM {self._lanes} WHERE hold = :reason"),
            {"reason": reason},
        )
        return {row.lane: row.holds for row in rows}

    def discard(self, conn: Connection, lane_id: uuid.UUID, reason: str) -> None:
        """Ask that what waits in a lane is cancelled; the sweep does it in steps. Served by the lanes' primary key."""
        conn.execute(
            text(
                f"UPDATE {self._lanes} SET discard = :reason, refilled_at = now() WHERE {self.lane} = :lane"
            ),
            {"lane": lane_id, "reason": reason},
        )

    def prune(self, conn: Connection, *, reason: str, quiet: timedelta) -> int:
        """Delete lanes whose destination is gone. Served by `<table>_lane_discard_idx`.

        Args:
            conn: a connection.
            reason: why they were discarded.
            quiet: how long ago that, and the last claim, must be. Until then a worker that does not know it yet may
                put something into the line, or give back what it leased; without its lane that would stay for ever.

        Returns:
            How many were deleted.
        """
        return conn.execute(
            text(f"""
                DELETE FROM {self._lanes} l
                 WHERE discard = :reason AND refilled_at < now() - CAST(:quiet AS interval)
                   AND NOT EXISTS (SELECT 1 FROM {self._line} w WHERE w.{self.lane} = l.{self.lane})
                   AND NOT EXISTS (SELECT 1 FROM {self._order} o WHERE o.{self.lane} = l.{self.lane})"""),
            {"reason": reason, "quiet": quiet},
        ).rowcount

    # -- lines -------------------------------------------------------------------------------------------------

    def promote(self, conn: Connection, keys: Collection[tuple[uuid.UUID, str]]) -> None:
        """Put the first live row of each ordering key into its lane's line, unless it is there or leased.

        The caller holds the lanes' locks. Served by primary keys.
        """
        conn.execute(
            text(f"""
                WITH wanted AS (
                    SELECT DISTINCT lane, key FROM unnest(CAST(:lanes AS uuid[]), CAST(:keys AS text[])) AS k(lane, key)
                ), first AS (
                    SELECT w.lane, o.id FROM wanted w CROSS JOIN LATERAL (
                        SELECT id FROM {self._order} WHERE {self.lane} = w.lane AND ordering_key = w.key
                         ORDER BY id LIMIT 1) o
                )
                INSERT INTO {self._line} ({self.lane}, due_at, id)
                SELECT f.lane, d.due_at, d.id FROM first f CROSS JOIN LATERAL (
                    SELECT id, due_at FROM {self._rows} r WHERE r.id = f.id AND r.state = 'due' OFFSET 0) d
                ON CONFLICT DO NOTHING"""),
            {"lanes": [lane for lane, _ in keys], "keys": [key for _, key in keys]},
        )

    def _advance(self, conn: Connection, ended: Sequence[Row[Any]]) -> None:
        """Rows with a key have ended: their successors' turn."""
        lanes = {row.lane for row in ended}
        self.lock(conn, lanes)
        conn.execute(
            text(f"""
                DELETE FROM {self._order} o USING unnest(CAST(:lanes AS uuid[]), CAST(:keys AS text[]),
                       CAST(:ids AS uuid[])) AS e(lane, key, id)
                 WHERE o.{self.lane} = e.lane AND o.ordering_key = e.key AND o.id = e.id"""),
            {
                "lanes": [row.lane for row in ended],
                "keys": [row.ordering_key for row in ended],
                "ids": [row.id for row in ended],
            },
        )
        self.promote(conn, {(row.lane, row.ordering_key) for row in ended})
        self.wake(conn, lanes)

    def _enter(self, conn: Connection, rows: Sequence[Row[Any]]) -> None:
        """Put revived rows into their lines. Their keys' order is over: they go when they are due."""
        conn.execute(
            text(f"""
                INSERT INTO {self._line} ({self.lane}, due_at, id)
                SELECT * FROM unnest(CAST(:lanes AS uuid[]), CAST(:due AS timestamptz[]), CAST(:ids AS uuid[]))
                ON CONFLICT DO NOTHING"""),
            {
                "lanes": [row.lane for row in rows],
                "due": [row.due_at for row in rows],
                "ids": [row.id for row in rows],
            },
        )
        self.wake(conn, {row.lane for row in rows})
