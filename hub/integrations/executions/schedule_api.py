"""Routes of schedules."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from hub.access import audit
from hub.access.principal import Principal
from hub.core.errors import Conflict
from hub.core.ids import Kind, format_id, new_uuid, parse_id
from hub.integrations.executions import schedule_store as store
from hub.integrations.executions import views
from hub.integrations.executions.accepting import REFUSALS, Caller, Wish, note_refusal
from hub.integrations.executions.schedules import check_times, next_time
from hub.integrations.executions.schemas import Schedule, ScheduleIn, ScheduleUpdate
from hub.integrations.services import Bench, Workshop
from hub.integrations.target import Target
from hub.web.answers import answer_with_etag
from hub.web.auth import requires
from hub.web.etags import check_version
from hub.web.paging import Page, Paging, page_of
from hub.web.parameters import IfMatch
from hub.web.services import Hub, Services

router = APIRouter(tags=["Schedules"])

#: Of one tenant: what all of them start at one moment is still a matter of seconds.
MAX_SCHEDULES = 1_000

Reader = Annotated[Principal, requires("executions:read")]
Writer = Annotated[Principal, requires("executions:write")]


@router.post("/integrations/{integration_id}/schedules", status_code=201, response_model=Schedule)
def create_schedule(
    integration_id: str, body: ScheduleIn, caller: Writer, hub: Hub, workshop: Workshop, request: Request
) -> Response:
    """Execute an operation at times of the clock."""
    values = body.model_dump()
    check_times(values)
    wanted = parse_id(Kind.INTEGRATION, integration_id, field="path.integration_id")
    with hub.engine.begin() as conn:
        target = workshop.doors.target(conn, caller.tenant_id, wanted)
        _check(hub, workshop, caller, target, Wish(body.operation, body.input))
        if store.count_schedules(conn, caller.tenant_id) >= MAX_SCHEDULES:
            raise Conflict(
                f"The tenant has {MAX_SCHEDULES:,} schedules, and may have no more: delete one first."
            )
        row = store.insert_schedule(
            conn,
            {
                **values,
                "id": new_uuid(),
                "tenant_id": caller.tenant_id,
                "integration_id": wanted,
                "created_by": caller.key_id,
                "next_at": _next(values),
            },
        )
        audit.note(
            conn, caller.tenant_id, caller.key_id, "schedule.created", _public(row), {"name": row.name}
        )
    shown = views.schedule(row)
    location = request.app.url_path_for("read_schedule", schedule_id=shown.id)
    return answer_with_etag(shown, 201, {"Location": location})


@router.get("/schedules")
def list_schedules(
    caller: Reader,
    hub: Hub,
    paging: Paging,
    integration: Annotated[str | None, Query(description="Only those of this integration.")] = None,
) -> Page[Schedule]:
    """List schedules, newest first."""
    chosen = (
        None if integration is None else parse_id(Kind.INTEGRATION, integration, field="query.integration")
    )
    with hub.engine.connect() as conn:
        rows = store.list_schedules(
            conn, caller.tenant_id, after=paging.after, limit=paging.fetch, integration_id=chosen
        )
    page, cursor = page_of(rows, paging.limit, lambda row: row.id)
    return Page(data=[views.schedule(row) for row in page], next_cursor=cursor)


@router.get("/schedules/{schedule_id}", response_model=Schedule)
def read_schedule(schedule_id: str, caller: Reader, hub: Hub) -> Response:
    """Read a schedule. What it started: `GET /v1/executions?schedule=…`."""
    with hub.engine.connect() as conn:
        return answer_with_etag(views.schedule(_find(conn, caller, schedule_id)))


@router.patch("/schedules/{schedule_id}", response_model=Schedule)
def change_schedule(
    schedule_id: str,
    body: ScheduleUpdate,
    caller: Writer,
    hub: Hub,
    workshop: Workshop,
    if_match: IfMatch = None,
) -> Response:
    """Change a schedule, pause or resume it; what is left out stays."""
    changes = body.model_dump(exclude_unset=True)
    with hub.engine.begin() as conn:
        row = _find(conn, caller, schedule_id)
        check_version(if_match, row.version)
        whole = {**row._asdict(), **changes}
        if "cron" in changes and changes["cron"] is not None and "every_seconds" not in changes:
            whole["every_seconds"] = changes["every_seconds"] = None
        elif changes.get("every_seconds") is not None and "cron" not in changes:
            whole["cron"] = changes["cron"] = None
        check_times(whole)
        if {"operation", "input"} & changes.keys():
            target = workshop.doors.target(conn, caller.tenant_id, row.integration_id)
            _check(hub, workshop, caller, target, Wish(whole["operation"], whole["input"]))
        if {"cron", "timezone", "every_seconds", "paused"} & changes.keys():
            changes["next_at"] = _next(whole)
        changed = store.update_schedule(conn, caller.tenant_id, row.id, row.version, changes)
        if changed is None:
            raise Conflict("The schedule was changed meanwhile. Read it again, then repeat your change.")
        details = {"changed": sorted(changes.keys() - {"next_at"})}
        audit.note(conn, caller.tenant_id, caller.key_id, "schedule.changed", _public(row), details)
    return answer_with_etag(views.schedule(changed))


@router.delete("/schedules/{schedule_id}", status_code=204)
def delete_schedule(schedule_id: str, caller: Writer, hub: Hub) -> None:
    """Delete a schedule; what it started goes on."""
    with hub.engine.begin() as conn:
        row = _find(conn, caller, schedule_id)
        store.delete_schedule(conn, caller.tenant_id, row.id)
        audit.note(
            conn, caller.tenant_id, caller.key_id, "schedule.deleted", _public(row), {"name": row.name}
        )


def _next(values: dict[str, Any]) -> datetime | None:
    return None if values["paused"] else next_time(values, datetime.now(UTC))


def _find(conn: Any, caller: Principal, schedule_id: str) -> Any:
    return store.get_schedule(
        conn, caller.tenant_id, parse_id(Kind.SCHEDULE, schedule_id, field="path.schedule_id")
    )


def _check(hub: Services, workshop: Bench, principal: Principal, target: Target, wish: Wish) -> None:
    caller = Caller(principal.key_id, principal.roles)
    try:
        workshop.doors.check(target, [wish], caller)
    except REFUSALS as error:
        with hub.engine.begin() as conn:
            note_refusal(
                conn,
                principal.tenant_id,
                caller,
                target.id,
                error,
                source="schedule",
                operations=[wish.operation],
            )
        raise


def _public(row: Any) -> str:
    return format_id(Kind.SCHEDULE, row.id)
