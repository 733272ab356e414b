"""How an endpoint does: sums of its attempts as people read them. Pure but for `load`."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from hub.db.lanes import BREAKER
from hub.webhooks.endpoints import store
from hub.webhooks.models import LATENCY_BOUNDS

if TYPE_CHECKING:
    import uuid

    from sqlalchemy import Connection, Row

    from hub.webhooks.endpoints.store import Lane

Period = Literal["1h", "24h", "7d", "30d"]
PERIODS: dict[str, timedelta] = {
    "1h": timedelta(hours=1),
    "24h": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
#: No call lasts longer, so this bounds what is beyond the histogram, milliseconds.
_LONGEST_MS = 60_000.0


class Facts(NamedTuple):
    """What the database says of an endpoint."""

    sums: Row[Any]
    health: Row[Any] | None
    lane: Lane
    waiting: int


def load(conn: Connection, tenant_id: uuid.UUID, endpoint_id: uuid.UUID, since: datetime) -> Facts:
    """Ask for everything, of attempts since a moment."""
    return Facts(
        store.sum_metrics(conn, tenant_id, endpoint_id, since),
        store.find_health(conn, tenant_id, endpoint_id),
        store.load_lanes(conn, tenant_id, [endpoint_id])[endpoint_id],
        store.count_waiting(conn, endpoint_id),
    )


def monitoring(facts: Facts) -> dict[str, Any]:
    """The fields of `views.Monitoring`."""
    sums, health = facts.sums, facts.health
    attempts = sums.succeeded + sums.failed
    return {
        "delivery_rate": _percent(sums.succeeded, attempts),
        "error_rate": _percent(sums.failed, attempts),
        "average_latency_ms": round(sums.latency_sum_ms / attempts, 2) if attempts else None,
        "last_delivery_at": health and health.last_success_at,
        "last_failure_at": health and health.last_failure_at,
        "failing_since": health and health.failing_since,
        "waiting": facts.waiting,
    }


def statistics(facts: Facts, period: Period, now: datetime) -> dict[str, Any]:
    """The fields of `views.Statistics`."""
    sums, lane = facts.sums, facts.lane
    attempts = sums.succeeded + sums.failed
    return monitoring(facts) | {
        "period": period,
        "since": now - PERIODS[period],
        "attempts": attempts,
        "succeeded": sums.succeeded,
        "failed": sums.failed,
        "per_minute": round(attempts / (PERIODS[period].total_seconds() / 60), 3),
        "p95_latency_ms": percentile(
            [getattr(sums, f"le_{bound}") for bound in LATENCY_BOUNDS], attempts, 0.95
        ),
        "hold": lane.hold,
        "hold_until": lane.hold_until,
        "breaker": "closed" if lane.hold != BREAKER else "half_open" if lane.probing else "open",
    }


def percentile(slots: list[int], total: int, share: float) -> float | None:
    """An upper bound of a percentile.

    Args:
        slots: how many fell into each slot of the histogram, not cumulative.
        total: how many there were, those beyond the last slot included.
        share: 0.95 for the 95th.

    Returns:
        The upper bound of the slot that holds it, milliseconds; None of nothing.
    """
    if not total:
        return None
    rank = math.ceil(total * share)
    counted = 0
    for bound, count in zip(LATENCY_BOUNDS, slots, strict=True):
        counted += count
        if counted >= rank:
            return float(bound)
    return _LONGEST_MS


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 2) if whole else None
