"""Routes of outgoing webhooks: events and deliveries."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request
from sqlalchemy import Row
from starlette.concurrency import run_in_threadpool

from hub.access.principal import Principal
from hub.core.errors import Conflict, FieldError, Invalid
from hub.core.ids import Kind, format_id, parse_id
from hub.db.engine import snapshot
from hub.db.states import State
from hub.integrations.executions.tracing import event_trace, trace_id_of
from hub.queue.contracts import TaskName
from hub.transforms import acting_for
from hub.web.auth import requires
from hub.web.paging import Page, PageRequest, Paging, page_of
from hub.web.services import Hub
from hub.webhooks import history_store, resending, schemas, store
from hub.webhooks.dry_run import dry_run
from hub.webhooks.endpoints import store as endpoints
from hub.webhooks.events import Event, read_events, refuse

router = APIRouter()
#: Endpoints that a dry run shows.
_DRY_RUN_ENDPOINTS = 100
T = TypeVar("T")

EventReader = Annotated[Principal, requires("events:read")]
EventWriter = Annotated[Principal, requires("events:write")]


# -- events ---------------------------------------------------------------------------------------------------------


@router.post("/events/dry-run", tags=["Events"], summary="See what an event would do")
async def dry_run_event(
    request: Request,
    hub: Hub,
    caller: EventReader,
    body: schemas.PublishEvent,  # noqa: ARG001 - for the description; what counts are the bytes
    endpoint: Annotated[
        str | None, Query(description="Ask about this one only, whatever it subscribes to.")
    ] = None,
) -> schemas.DryRun:
    """Would it be accepted, which endpoints would get it, with which body and headers? Nothing is written or sent."""
    raw = await request.body()
    events, is_list = read_events(raw, datetime.now(UTC))
    refuse(event for event in events if isinstance(event, Invalid))
    event = events[0]
    if is_list or not isinstance(event, Event):
        raise Invalid("A dry run takes one event, not a list.", fields=(FieldError("", "must be an object"),))
    key = None if endpoint is None else parse_id(Kind.ENDPOINT, endpoint, field="query.endpoint")
    return await run_in_threadpool(_dry_run, request.app.state, hub, caller, event, key)


def _dry_run(
    state: Any, hub: Hub, caller: Principal, event: Event, endpoint_id: UUID | None
) -> schemas.DryRun:
    verdict = state.catalogue.check(caller.tenant_id, event.type, event.data)
    with hub.engine.connect() as conn:
        if endpoint_id is not None:
            endpoints.find_endpoint(conn, caller.tenant_id, endpoint_id)
        with state.directory_lock:
            state.directory.refresh(conn, [caller.tenant_id])
            targets = list(state.directory.targets(caller.tenant_id))
    every = [target for target in targets if target.kind == "events"]
    asked = (
        [t for t in every if t.id == endpoint_id]
        if endpoint_id
        else [t for t in every if t.takes(event.type)]
    )
    shown = asked[:_DRY_RUN_ENDPOINTS]
    with hub.slow.place(caller.tenant_id), acting_for(caller.tenant_id):
        results = dry_run(event, shown, state.sandbox, datetime.now(UTC))
    return schemas.DryRun(
        accepted=verdict.allowed,
        errors=[schemas.ReceiptField(path=f.path, message=f.message) for f in verdict.errors],
        warnings=[schemas.ReceiptField(path=f.path, message=f.message) for f in verdict.warnings],
        endpoints=[schemas.DryRunResult(**one) for one in results],
        others=len(every) - len(shown),
    )


@router.get("/events", tags=["Events"], summary="List events")
def list_events(
    hub: Hub,
    caller: EventReader,
    paging: Paging,
    type: Annotated[str | None, Query(max_length=128)] = None,  # noqa: A002 - the field's name
) -> Page[schemas.Event]:
    """Newest first."""
    with hub.engine.connect() as conn:
        rows = history_store.list_messages(
            conn, caller.tenant_id, event_type=type, before=paging.after, limit=paging.limit
        )
    return _page(rows, paging, lambda row: schemas.Event(**_event(row)))


@router.get("/events/{event_id}", tags=["Events"], summary="Read an event")
def read_event(event_id: str, hub: Hub, caller: EventReader) -> schemas.EventDetail:
    """With its payload."""
    with hub.engine.connect() as conn:
        row = history_store.find_message(
            conn, caller.tenant_id, parse_id(Kind.MESSAGE, event_id, field="path.event_id")
        )
    return schemas.EventDetail(**_event(row), data=msgspec.json.decode(row.data))


@router.post("/events/{event_id}/cancel", tags=["Events"], summary="Take back a scheduled event")
def cancel_event(event_id: str, hub: Hub, caller: EventWriter) -> schemas.Event:
    """Only before its `deliver_at`."""
    key = parse_id(Kind.MESSAGE, event_id, field="path.event_id")
    with hub.engine.begin() as conn:
        row = history_store.find_message(conn, caller.tenant_id, key)
        if not store.cancel_scheduled(conn, caller.tenant_id, key):
            raise Conflict(f"The event is {row.state}; only one that is still scheduled can be taken back.")
        row = history_store.find_message(conn, caller.tenant_id, key)
    return schemas.Event(**_event(row))


@router.get("/events/{event_id}/deliveries", tags=["Events"], summary="Where an event went")
def list_event_deliveries(
    event_id: str, hub: Hub, caller: EventReader, paging: Paging
) -> Page[schemas.Delivery]:
    """One delivery for each endpoint that matched."""
    key = parse_id(Kind.MESSAGE, event_id, field="path.event_id")
    with hub.engine.connect() as conn:
        history_store.find_message(conn, caller.tenant_id, key)
        rows = history_store.list_deliveries(
            conn, caller.tenant_id, message_id=key, endpoint_id=None, state=None,
            before=paging.after, limit=paging.limit,
        )  # fmt: skip
    return _page(rows, paging, lambda row: schemas.Delivery(**_delivery(row)))


# -- deliveries -----------------------------------------------------------------------------------------------------


@router.get("/deliveries", tags=["Deliveries"], summary="List deliveries")
def list_deliveries(
    hub: Hub,
    caller: EventReader,
    paging: Paging,
    endpoint: Annotated[str | None, Query(description="Only those to this endpoint.")] = None,
    state: Annotated[State | None, Query(description="Only those in this state.")] = None,
) -> Page[schemas.Delivery]:
    """Newest first."""
    key = None if endpoint is None else parse_id(Kind.ENDPOINT, endpoint, field="query.endpoint")
    with hub.engine.connect() as conn:
        rows = history_store.list_deliveries(
            conn, caller.tenant_id, message_id=None, endpoint_id=key, state=None if state is None else state.value,
            before=paging.after, limit=paging.limit,
        )  # fmt: skip
    return _page(rows, paging, lambda row: schemas.Delivery(**_delivery(row)))


@router.get("/deliveries/{delivery_id}", tags=["Deliveries"], summary="Read a delivery and its attempts")
def read_delivery(delivery_id: str, hub: Hub, caller: EventReader) -> schemas.DeliveryDetail:
    """Every call that was made, with status, timings and an excerpt of the answer."""
    with snapshot(hub.engine) as conn:
        row = history_store.find_delivery(
            conn, caller.tenant_id, parse_id(Kind.DELIVERY, delivery_id, field="path.delivery_id")
        )
        attempts = history_store.list_attempts(conn, caller.tenant_id, row.id)
    return schemas.DeliveryDetail(**_delivery(row), attempt_log=[_attempt(a) for a in attempts])


@router.post(
    "/deliveries/{delivery_id}/resend", status_code=202, tags=["Deliveries"], summary="Send a delivery again"
)
def resend_delivery(delivery_id: str, hub: Hub, caller: EventWriter) -> schemas.Delivery:
    """Same bytes, same `webhook-id`, a new timestamp and signature."""
    with hub.engine.begin() as conn:
        row = resending.resend(conn, caller, parse_id(Kind.DELIVERY, delivery_id, field="path.delivery_id"))
    hub.ring(TaskName.DELIVERIES_SEND, [delivery_id])
    return schemas.Delivery(**_delivery(row))


# -- rows to JSON ---------------------------------------------------------------------------------------------------


def _page(rows: Sequence[Row[Any]], paging: PageRequest, view: Callable[[Row[Any]], T]) -> Page[T]:
    kept, cursor = page_of(rows, paging.limit, lambda row: row.id)
    return Page(data=[view(row) for row in kept], next_cursor=cursor)


def _event(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": format_id(Kind.MESSAGE, row.id),
        "event_id": row.event_id,
        "type": row.type,
        "source": row.source,
        "labels": row.labels or [],
        "ordering_key": row.ordering_key,
        "deliver_at": row.deliver_at,
        "expires_at": row.expires_at,
        "state": row.state,
        "reason": row.reason,
        "trace_id": trace_id_of(event_trace(row.id, row.traceparent)),
        "created_at": row.created_at,
    }


def _delivery(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": format_id(Kind.DELIVERY, row.id),
        "event": format_id(Kind.MESSAGE, row.message_id),
        "endpoint": format_id(Kind.ENDPOINT, row.endpoint_id),
        "state": row.state,
        "reason": row.reason,
        "attempts": row.attempt,
        "retries_used": row.step,
        "replays": row.replay_no,
        "next_attempt_at": row.due_at if row.state == State.DUE else None,
        "created_at": row.created_at,
        "finished_at": row.finished_at,
    }


def _attempt(row: Row[Any]) -> schemas.Attempt:
    values = {
        name: getattr(row, name)
        for name in schemas.Attempt.model_fields
        if name not in {"id", "response_body"}
    }
    return schemas.Attempt(
        **values, id=format_id(Kind.ATTEMPT, row.id), response_body=_as_text(row.response_body)
    )


def _as_text(body: bytes | None) -> str | None:
    """Text as text; anything else as base64 with a mark, so that nothing is lost or garbled."""
    if body is None:
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(body).decode()
