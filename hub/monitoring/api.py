"""Routes of monitoring."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter
from sqlalchemy import Connection

from hub.access.principal import Principal
from hub.core.ids import Kind, format_id, parse_id
from hub.db.engine import snapshot
from hub.integrations.metrics import BOUNDS_MS, column_of
from hub.integrations.registry import service
from hub.monitoring import store
from hub.monitoring.alert_store import read_standing
from hub.monitoring.health import Status
from hub.monitoring.schemas import (
    AlertState,
    Check,
    HealthChange,
    IntegrationHealth,
    Summary,
    Window,
    Windows,
)
from hub.monitoring.windows import WINDOWS, Numbers, summarise
from hub.web.auth import requires
from hub.web.paging import Page, Paging, page_of
from hub.web.services import Hub

router = APIRouter(tags=["Health"])

Reader = Annotated[Principal, requires("integrations:read")]
_LAST_CHECKS = 20


@router.get("/integrations/{integration_id}/health")
def read_health(integration_id: str, caller: Reader, hub: Hub) -> IntegrationHealth:
    """How an integration is: its status, last checks, and rolling numbers over 5 minutes, 1 hour and 24 hours."""
    with snapshot(hub.engine) as conn:
        row = service.get(conn, caller.tenant_id, _integration(integration_id))
        # What was found by a check that is no more says nothing of today.
        health = None if row.health_check is None else store.find_health(conn, caller.tenant_id, row.id)
        calls, checks = _windows(conn, caller.tenant_id, row.id)
        last = store.last_checks(conn, caller.tenant_id, row.id, limit=_LAST_CHECKS)
    return IntegrationHealth(
        integration=format_id(Kind.INTEGRATION, row.id),
        status=Status.UNKNOWN if health is None else health.status,
        since=None if health is None else health.since,
        last_check_at=None if health is None else health.last_check_at,
        last_latency_ms=None if health is None else health.last_latency_ms,
        consecutive_failures=0 if health is None else health.consecutive_failures,
        last_error=None if health is None else health.last_error,
        next_check_at=row.next_check_at,
        calls=calls,
        checks=checks,
        last_checks=[Check(**{**one._asdict(), "id": format_id(Kind.CHECK_RUN, one.id)}) for one in last],
    )


@router.get("/integrations/{integration_id}/health-changes")
def list_health_changes(integration_id: str, caller: Reader, hub: Hub, paging: Paging) -> Page[HealthChange]:
    """When an integration's health changed, newest first."""
    with hub.engine.connect() as conn:
        row = service.get(conn, caller.tenant_id, _integration(integration_id))
        rows = store.list_changes(conn, caller.tenant_id, row.id, after=paging.after, limit=paging.fetch)
    page, cursor = page_of(rows, paging.limit, lambda one: one.id)
    changes = [
        HealthChange(at=one.at, from_status=one.from_status, to_status=one.to_status, reason=one.reason)
        for one in page
    ]
    return Page(data=changes, next_cursor=cursor)


@router.get("/integrations/{integration_id}/alerts")
def list_alerts(integration_id: str, caller: Reader, hub: Hub) -> list[AlertState]:
    """How an integration's alerts are; one that was never judged, or could not be, does not fire."""
    with hub.engine.connect() as conn:
        row = service.get(conn, caller.tenant_id, _integration(integration_id))
        standing = read_standing(conn, [row.id])
    return [
        AlertState(
            name=alert["name"],
            firing=(found := standing.get((row.id, alert["name"]))) is not None and found.firing,
            since=None if found is None else found.since,
            value=None if found is None else found.value,
        )
        for alert in row.alerts
    ]


@router.get("/monitoring/summary")
def read_summary(caller: Reader, hub: Hub) -> Summary:
    """A tenant at a glance: integrations by health, waiting executions, rolling numbers of all calls."""
    with snapshot(hub.engine) as conn:
        by_health = store.count_by_health(conn, caller.tenant_id)
        live = store.count_live_executions(conn, caller.tenant_id)
        calls, checks = _windows(conn, caller.tenant_id, None)
    return Summary(
        integrations={status: by_health.get(status.value, 0) for status in Status},
        executions={state: live.get(state, 0) for state in ("due", "leased", "held")},
        calls=calls,
        checks=checks,
    )


def _windows(
    conn: Connection, tenant_id: uuid.UUID, integration_id: uuid.UUID | None
) -> tuple[Windows, Windows]:
    """The rolling numbers of calls and of checks."""
    floor = datetime.now(UTC) - timedelta(seconds=max(WINDOWS.values()), minutes=2)
    rows = store.read_windows(conn, tenant_id, integration_id, windows=list(WINDOWS.values()), floor=floor)
    found: dict[tuple[str, int], Numbers] = {
        (row.source, row.seconds): summarise(
            row.calls,
            row.failed,
            row.latency_ms_sum,
            row.bytes,
            [getattr(row, column_of(bound)) for bound in BOUNDS_MS],
            row.span,
        )
        for row in rows
    }
    calls, checks = (
        Windows(
            **{
                f"last_{name}": Window(**asdict(found.get((source, seconds), Numbers())))
                for name, seconds in WINDOWS.items()
            }
        )
        for source in ("call", "check")
    )
    return calls, checks


def _integration(text: str) -> uuid.UUID:
    return parse_id(Kind.INTEGRATION, text, field="path.integration_id")
