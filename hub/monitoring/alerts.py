"""Alerts of integrations: judged every half minute, told when they begin to fire and when they are over.

What is told is an event of the hub's own, written in the transaction that notes the change, so it is told once.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from hub.core.ids import Kind, format_id, new_uuid
from hub.integrations.metrics import BOUNDS_MS, column_of
from hub.monitoring import alert_store as store
from hub.monitoring.alert_store import Standing
from hub.monitoring.health import Status
from hub.monitoring.windows import summarise
from hub.webhooks.envelope import OPERATIONAL
from hub.webhooks.store import NewMessage, has_operations_endpoint, insert_messages

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Row

log = logging.getLogger(__name__)

EVENT = "integration.alert"
_HEALTH = {Status.DEGRADED.value: 1.0, Status.UNHEALTHY.value: 2.0}


def review(conn: Connection, now: datetime) -> int:
    """Judge every alert: a statement for the integrations that have some, and one for each length of time.

    Args:
        conn: a connection inside a transaction.
        now: the current time, UTC.

    Returns:
        How many began to fire, or are over.
    """
    rows = store.lock_alerting(conn)
    if not rows:
        return 0
    spans = {alert["minutes"] for row in rows for alert in row.alerts}
    counted = {
        minutes: store.read_calls(conn, [row.id for row in rows], minutes, now) for minutes in sorted(spans)
    }
    standing = store.read_standing(conn, [row.id for row in rows])
    changed: list[tuple[Row[Any], Mapping[str, Any], Standing]] = []
    for row in rows:
        for alert in row.alerts:
            value = value_of(alert, row.health, counted[alert["minutes"]].get(row.id), now)
            before = standing.get((row.id, alert["name"]))
            firing = fires(alert, value)
            if firing is not None and firing != (before is not None and before.firing):
                changed.append((row, alert, Standing(firing, now, value)))
    store.write_standing(conn, [(row.id, row.tenant_id, alert["name"], new) for row, alert, new in changed])
    store.forget_removed(conn)
    for row, alert, new in changed:
        _tell(conn, row, alert, new)
    return len(changed)


def value_of(
    alert: Mapping[str, Any], health: str | None, calls: Row[Any] | None, now: datetime
) -> float | None:
    """What an alert looks at; None when nothing can be said.

    Args:
        alert: as it is defined.
        health: of the integration; None before its first check.
        calls: of so many whole minutes and of the running one.
        now: the moment up to which they were counted.
    """
    if alert["metric"] == "health":
        return None if health is None else _HEALTH.get(health, 0.0)
    if alert["metric"] == "throughput_per_minute":
        return 0.0 if calls is None else calls.calls / (alert["minutes"] + now.second / 60)
    if calls is None or calls.calls < alert["min_calls"]:
        return None
    numbers = summarise(
        calls.calls,
        calls.failed,
        calls.latency_ms_sum,
        calls.bytes,
        [getattr(calls, column_of(bound)) for bound in BOUNDS_MS],
        alert["minutes"] * 60,
    )
    if alert["metric"] == "latency_p95_ms":
        return numbers.p95_latency_ms
    return None if numbers.success_rate is None else round(1 - numbers.success_rate, 6)


def fires(alert: Mapping[str, Any], value: float | None) -> bool | None:
    """Does it fire? None when nothing can be said: then it stays as it is."""
    if value is None:
        return None
    if alert["at_least"] is not None:
        return bool(value >= alert["at_least"])
    return bool(value <= alert["at_most"])


def _tell(conn: Connection, row: Row[Any], alert: Mapping[str, Any], new: Standing) -> None:
    state = "firing" if new.firing else "resolved"
    integration = format_id(Kind.INTEGRATION, row.id)
    log.log(
        logging.WARNING if new.firing else logging.INFO,
        "Alert %s of integration %s is %s: %s is %s.",
        alert["name"],
        integration,
        state,
        alert["metric"],
        new.value,
    )
    if has_operations_endpoint(conn, row.tenant_id):
        data = {
            "integration": {"id": integration, "name": row.name},
            "alert": alert["name"],
            "state": state,
            "metric": alert["metric"],
            "value": new.value,
            "threshold": alert["at_least"] if alert["at_least"] is not None else alert["at_most"],
            "minutes": alert["minutes"],
        }
        insert_messages(conn, [_message(row.tenant_id, data)])


def _message(tenant_id: uuid.UUID, data: dict[str, Any]) -> NewMessage:
    return NewMessage(new_uuid(), tenant_id, EVENT, json.dumps(data, ensure_ascii=False), OPERATIONAL)
