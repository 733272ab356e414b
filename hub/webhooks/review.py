"""Endpoints that fail for days: warned about, then disabled.

An endpoint is disabled when it has had no success for `webhook_disable_days` and at least
`webhook_disable_messages` messages failed meanwhile; at 50, 70 and 90 percent of the way the tenant is warned. Any
success starts it anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.access.store import bump_config_version
from hub.webhooks import statistics_store, store
from hub.webhooks.operations import Operation, announcement, of_endpoint

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from hub.core.settings import Settings

#: Percent of the way at which something happens.
STEPS = (50, 70, 90, 100)
FAILING = "failing"


def step_of(failing_since: datetime, now: datetime, days: float) -> int:
    """The last step that an endpoint has reached, in percent; 0 before the first. Pure.

    Args:
        failing_since: its first failure since its last success.
        now: the current time.
        days: when it is to be disabled.
    """
    percent = (now - failing_since).total_seconds() / (days * 864)
    return max((step for step in STEPS if step <= percent), default=0)


def review(conn: Connection, settings: Settings, now: datetime) -> dict[str, int]:
    """Warn about endpoints and disable them, as it is their turn.

    Returns:
        How many were warned about, and disabled.
    """
    done = {"warned": 0, "disabled": 0}
    rows = statistics_store.list_failing(
        conn,
        older_than=settings.webhook_disable_days * STEPS[0] / 100,
        messages=settings.webhook_disable_messages,
    )
    for row in rows:
        step = step_of(row.failing_since, now, settings.webhook_disable_days)
        if step <= row.warned:
            continue
        if step == STEPS[-1]:
            done["disabled"] += _disable(conn, row)
        else:
            _announce(conn, row, Operation.ENDPOINT_FAILING, percent=step)
            done["warned"] += 1
        statistics_store.mark_warned(conn, row.endpoint_id, step)
    return done


def _disable(conn: Connection, row: Row) -> bool:  # type: ignore[type-arg]
    if not store.disable_endpoint(conn, row.tenant_id, row.endpoint_id, FAILING):
        return False
    bump_config_version(conn, row.tenant_id)
    store.DELIVERIES.hold(conn, row.endpoint_id, "endpoint_disabled")
    _announce(conn, row, Operation.ENDPOINT_DISABLED, percent=100)
    return True


def _announce(conn: Connection, row: Row, operation: Operation, *, percent: int) -> None:  # type: ignore[type-arg]
    if row.kind == "operations" or not store.has_operations_endpoint(conn, row.tenant_id):
        return
    data = of_endpoint(
        row.endpoint_id,
        row.name,
        FAILING,
        percent=percent,
        failing_since=row.failing_since.isoformat(),
        failed_messages=row.failed_messages,
    )
    store.insert_messages(conn, [announcement(row.tenant_id, operation, data)])
