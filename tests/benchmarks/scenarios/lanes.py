"""What a claim costs with 10,000 lanes, alone and beside a million due rows behind one lane that is blocked.

The deliver worker is stopped; rows are written by SQL and claimed by the hub's own statement. A round makes one row due
in each of 200 other lanes and claims until it has all of them (a claim looks at 64 lanes). The lane is blocked in two
ways: held, as by a breaker or a pause, and awake but full, as the lane of a hanging endpoint that has its share of the
worker's calls.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, event, text

from hub.webhooks.store import DELIVERIES
from tests.benchmarks import ledger
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.program import NoResult
from tests.benchmarks.running import Bench

_LANES = 10_000
_SPREAD = 200
_AWAKE = 1_000
#: How pg_stat_statements shows the claim.
_CLAIM = "WITH picked AS"
#: Nobody: rows and lanes need no endpoints to be claimed.
_TENANT = uuid.UUID(int=1)
_BLOCKED = uuid.UUID(int=2)
_SCANS = {"Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Tid Scan", "Tid Range Scan"}


class Cost(NamedTuple):
    """What claiming costs.

    Args:
        ms: median time of claiming `_SPREAD` rows, milliseconds.
        buffers: shared buffers that one claim touches, on average.
        read: rows that one claim reads from tables.
    """

    ms: float
    buffers: float
    read: float


def run(bench: Bench) -> list[Figure]:
    """Measure without the backlog, with it, and without it again: a machine is not equally fast all the time."""
    rows, rounds = bench.pick(1_000_000, 100_000), bench.pick(60, 20)
    with bench.stopped("deliver"):
        bench.fresh()
        with bench.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.detach()
            # As the worker's claims do.
            conn.execute(text("SET synchronous_commit = off"))
            ledger.track_statements(conn, on=True)
            lanes = _make_lanes(conn)
            alone = _measure(conn, lanes, rounds)
            _make_backlog(conn, rows)
            held = _measure(conn, lanes, rounds)
            _wake(conn, [_BLOCKED])
            full = _measure(conn, lanes, rounds, full=[_BLOCKED])
            _make_due(conn, lanes[:_AWAKE])
            awake = [took for took, _ in _claims(conn, _AWAKE, full=[_BLOCKED])]
            ledger.clear(conn)
            again = _measure(conn, lanes, rounds)
            ledger.track_statements(conn, on=False)
            ledger.clear(conn)
            conn.execute(text("DELETE FROM hub.delivery_lane WHERE tenant_id = :tenant"), {"tenant": _TENANT})
    without = Cost(*((one + other) / 2 for one, other in zip(alone, again, strict=True)))
    return [
        Figure(
            f"claiming {_SPREAD} rows of as many of {_LANES:,} lanes, median", without.ms, "ms",
            note=f"{rounds} rounds before the backlog: {alone.ms:.1f}, and after it: {again.ms:.1f}",
        ),
        Figure("shared buffers touched by one claim", without.buffers, "", note="pg_stat_statements"),
        Figure("rows read by one claim", without.read, "", note="EXPLAIN ANALYZE"),
        *_compare(f"beside {rows:,} rows of a lane that is held", held, without),
        *_compare(f"beside {rows:,} rows of a lane that is full", full, without),
        Figure(f"one claim while {_AWAKE:,} lanes are awake, median", percentile(awake, 50) * 1000, "ms"),
    ]  # fmt: skip


def _compare(name: str, cost: Cost, without: Cost) -> list[Figure]:
    return [
        Figure(f"{name}: time to without", cost.ms / without.ms, "x", at_most=1.2),
        Figure(f"{name}: buffers to without", cost.buffers / without.buffers, "x", at_most=1.2),
        Figure(f"{name}: rows read to without", cost.read / without.read, "x", at_most=1.2),
    ]


def _measure(
    conn: Connection, lanes: Sequence[uuid.UUID], rounds: int, full: Collection[uuid.UUID] = ()
) -> Cost:
    conn.execute(text("VACUUM (ANALYZE) hub.delivery, hub.delivery_waiting, hub.delivery_lane"))
    conn.execute(text("CHECKPOINT"))
    deadline = time.monotonic() + 30
    while ledger.is_vacuuming(conn) and time.monotonic() < deadline:
        time.sleep(0.2)
    took = []
    # The first rounds make plans and fill caches.
    for number in range(-5, rounds):
        if number == 0:
            ledger.track_statements(conn, on=True)
        start = number * _SPREAD % _LANES
        _make_due(conn, lanes[start : start + _SPREAD])
        took.append(sum(seconds for seconds, _ in _claims(conn, _SPREAD, full=full)))
    buffers = ledger.buffers(conn, _CLAIM)
    _make_due(conn, lanes[:_SPREAD])
    read = _explain(conn, full)
    while DELIVERIES.claim(conn, owner="benchmark", limit=_SPREAD, lease=3600, full=full):
        pass
    return Cost(percentile(took[5:], 50) * 1000, buffers, read)


def _claims(conn: Connection, count: int, *, full: Collection[uuid.UUID]) -> Iterator[tuple[float, int]]:
    """Claim until there are so many: seconds and rows of each claim."""
    while count > 0:
        start = time.perf_counter()
        rows = DELIVERIES.claim(conn, owner="benchmark", limit=_SPREAD, lease=3600, full=full)
        if not rows:
            raise NoResult(f"{count} rows were not claimed")
        count -= len(rows)
        yield time.perf_counter() - start, len(rows)


def _explain(conn: Connection, full: Collection[uuid.UUID]) -> float:
    """Rows that one claim reads from tables, by its plan as it was executed."""

    def explain(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        return f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters

    event.listen(conn, "before_cursor_execute", explain, retval=True)
    try:
        rows = DELIVERIES.claim(conn, owner="benchmark", limit=_SPREAD, lease=3600, full=full)
    finally:
        event.remove(conn, "before_cursor_execute", explain)
    return _read(rows[0][0][0]["Plan"])


def _read(node: dict[str, Any]) -> float:
    rows = 0.0
    if node["Node Type"] in _SCANS:
        removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        rows = (node["Actual Rows"] + removed) * node["Actual Loops"]
    return rows + sum(_read(child) for child in node.get("Plans", ()))


# -- rows -----------------------------------------------------------------------------------------------------------


def _make_lanes(conn: Connection) -> Sequence[uuid.UUID]:
    """Lanes with nothing in them, and one that is held."""
    conn.execute(
        text(
            "INSERT INTO hub.delivery_lane (endpoint_id, tenant_id, hold, hold_until, wake_at)"
            " VALUES (:blocked, :tenant, 'endpoint_paused', 'infinity', 'infinity')"
        ),
        {"blocked": _BLOCKED, "tenant": _TENANT},
    )
    return conn.scalars(
        text(
            "INSERT INTO hub.delivery_lane (endpoint_id, tenant_id)"
            " SELECT gen_random_uuid(), :tenant FROM generate_series(1, :count) RETURNING endpoint_id"
        ),
        {"tenant": _TENANT, "count": _LANES},
    ).all()


def _make_backlog(conn: Connection, rows: int) -> None:
    conn.execute(
        text(
            "WITH made AS (INSERT INTO hub.delivery (id, tenant_id, message_id, endpoint_id)"
            " SELECT hub.uuid7(), :tenant, hub.uuid7(), :blocked FROM generate_series(1, :rows)"
            " RETURNING endpoint_id, due_at, id)"
            " INSERT INTO hub.delivery_waiting (endpoint_id, due_at, id) SELECT endpoint_id, due_at, id FROM made"
        ),
        {"tenant": _TENANT, "blocked": _BLOCKED, "rows": rows},
    )


def _make_due(conn: Connection, lanes: Sequence[uuid.UUID]) -> None:
    """One row in each of these lanes."""
    conn.execute(
        text(
            "WITH made AS (INSERT INTO hub.delivery (id, tenant_id, message_id, endpoint_id)"
            " SELECT hub.uuid7(), :tenant, hub.uuid7(), lane FROM unnest(CAST(:lanes AS uuid[])) AS lane"
            " RETURNING endpoint_id, due_at, id)"
            " INSERT INTO hub.delivery_waiting (endpoint_id, due_at, id) SELECT endpoint_id, due_at, id FROM made"
        ),
        {"tenant": _TENANT, "lanes": list(lanes)},
    )
    _wake(conn, lanes)


def _wake(conn: Connection, lanes: Sequence[uuid.UUID]) -> None:
    conn.execute(
        text(
            "UPDATE hub.delivery_lane SET hold = NULL, hold_until = NULL, wake_at = now()"
            " WHERE endpoint_id = ANY (CAST(:lanes AS uuid[]))"
        ),
        {"lanes": list(lanes)},
    )
