"""Routes of outgoing webhooks: endpoints, events, deliveries."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import APIRouter, Query, Response
from sqlalchemy import Row

from hub.access.principal import Principal
from hub.core.errors import Conflict
from hub.core.ids import Kind, format_id, parse_id
from hub.db.states import State
from hub.queue.contracts import TaskName
from hub.vault.store import Description
from hub.web.auth import requires
from hub.web.paging import Page, PageRequest, Paging, page_of
from hub.web.services import Hub
from hub.webhooks import endpoints, schemas, store

router = APIRouter()
T = TypeVar("T")

Reader = Annotated[Principal, requires("endpoints:read")]
Writer = Annotated[Principal, requires("endpoints:write")]
EventReader = Annotated[Principal, requires("events:read")]
EventWriter = Annotated[Principal, requires("events:write")]


# -- endpoints ------------------------------------------------------------------------------------------------------


@router.post("/endpoints", status_code=201, tags=["Endpoints"], summary="Create an endpoint")
def create_endpoint(body: schemas.EndpointCreate, hub: Hub, caller: Writer) -> schemas.EndpointCreated:
    """Its signing secret is in this answer and never again."""
    endpoints.check(body, hub.policy)
    with hub.engine.begin() as conn:
        row, secret = endpoints.create(conn, caller, body, vault=hub.vault)
        shown = hub.vault.describe(conn, caller.tenant_id, [row.secret_id])
    view = _endpoint(row, shown)
    return schemas.EndpointCreated(**view.model_dump(), signing_secret=secret.reveal())


@router.get("/endpoints", tags=["Endpoints"], summary="List endpoints")
def list_endpoints(hub: Hub, caller: Reader, paging: Paging) -> Page[schemas.Endpoint]:
    """Newest first."""
    with hub.engine.connect() as conn:
        rows = store.list_endpoints(conn, caller.tenant_id, before=paging.after, limit=paging.limit)
        shown = hub.vault.describe(conn, caller.tenant_id, [row.secret_id for row in rows])
    return _page(rows, paging, lambda row: _endpoint(row, shown))


@router.get("/endpoints/{endpoint_id}", tags=["Endpoints"], summary="Read an endpoint")
def read_endpoint(endpoint_id: str, hub: Hub, caller: Reader) -> schemas.Endpoint:
    """Its secret is shown as the last four characters and a fingerprint."""
    with hub.engine.connect() as conn:
        row = store.find_endpoint(
            conn, caller.tenant_id, parse_id(Kind.ENDPOINT, endpoint_id, field="path.endpoint_id")
        )
        shown = hub.vault.describe(conn, caller.tenant_id, [row.secret_id])
    return _endpoint(row, shown)


@router.patch(
    "/endpoints/{endpoint_id}", tags=["Endpoints"], summary="Change, pause or re-enable an endpoint"
)
def update_endpoint(
    endpoint_id: str, body: schemas.EndpointUpdate, hub: Hub, caller: Writer
) -> schemas.Endpoint:
    """What is left out stays. Setting `status` to `active` sends what was held meanwhile."""
    key = parse_id(Kind.ENDPOINT, endpoint_id, field="path.endpoint_id")
    endpoints.check(body, hub.policy)
    with hub.engine.begin() as conn:
        row, resumed = endpoints.change(conn, caller, key, body)
        shown = hub.vault.describe(conn, caller.tenant_id, [row.secret_id])
    if resumed:
        hub.ring(TaskName.DELIVERIES_SEND)
    return _endpoint(row, shown)


@router.delete("/endpoints/{endpoint_id}", status_code=204, tags=["Endpoints"], summary="Delete an endpoint")
def delete_endpoint(endpoint_id: str, hub: Hub, caller: Writer) -> Response:
    """What waits for it is cancelled; its history stays readable."""
    key = parse_id(Kind.ENDPOINT, endpoint_id, field="path.endpoint_id")
    with hub.engine.begin() as conn:
        endpoints.remove(conn, caller, key, vault=hub.vault)
    return Response(status_code=204)


# -- events ---------------------------------------------------------------------------------------------------------


@router.get("/events", tags=["Events"], summary="List events")
def list_events(
    hub: Hub,
    caller: EventReader,
    paging: Paging,
    type: Annotated[str | None, Query(max_length=128)] = None,  # noqa: A002 - the field's name
) -> Page[schemas.Event]:
    """Newest first."""
    with hub.engine.connect() as conn:
        rows = store.list_messages(
            conn, caller.tenant_id, event_type=type, before=paging.after, limit=paging.limit
        )
    return _page(rows, paging, lambda row: schemas.Event(**_event(row)))


@router.get("/events/{event_id}", tags=["Events"], summary="Read an event")
def read_event(event_id: str, hub: Hub, caller: EventReader) -> schemas.EventDetail:
    """With its payload."""
    with hub.engine.connect() as conn:
        row = store.find_message(
            conn, caller.tenant_id, parse_id(Kind.MESSAGE, event_id, field="path.event_id")
        )
    return schemas.EventDetail(**_event(row), data=msgspec.json.decode(row.data))


@router.post("/events/{event_id}/cancel", tags=["Events"], summary="Take back a scheduled event")
def cancel_event(event_id: str, hub: Hub, caller: EventWriter) -> schemas.Event:
    """Only before its `deliver_at`."""
    key = parse_id(Kind.MESSAGE, event_id, field="path.event_id")
    with hub.engine.begin() as conn:
        row = store.find_message(conn, caller.tenant_id, key)
        if not store.cancel_scheduled(conn, caller.tenant_id, key):
            raise Conflict(f"The event is {row.state}; only one that is still scheduled can be taken back.")
        row = store.find_message(conn, caller.tenant_id, key)
    return schemas.Event(**_event(row))


@router.get("/events/{event_id}/deliveries", tags=["Events"], summary="Where an event went")
def list_event_deliveries(
    event_id: str, hub: Hub, caller: EventReader, paging: Paging
) -> Page[schemas.Delivery]:
    """One delivery for each endpoint that matched."""
    key = parse_id(Kind.MESSAGE, event_id, field="path.event_id")
    with hub.engine.connect() as conn:
        store.find_message(conn, caller.tenant_id, key)
        rows = store.list_deliveries(
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
        rows = store.list_deliveries(
            conn, caller.tenant_id, message_id=None, endpoint_id=key, state=None if state is None else state.value,
            before=paging.after, limit=paging.limit,
        )  # fmt: skip
    return _page(rows, paging, lambda row: schemas.Delivery(**_delivery(row)))


@router.get("/deliveries/{delivery_id}", tags=["Deliveries"], summary="Read a delivery and its attempts")
def read_delivery(delivery_id: str, hub: Hub, caller: EventReader) -> schemas.DeliveryDetail:
    """Every call that was made, with status, timings and an excerpt of the answer."""
    with hub.engine.connect() as conn:
        row = store.find_delivery(
            conn, caller.tenant_id, parse_id(Kind.DELIVERY, delivery_id, field="path.delivery_id")
        )
        attempts = store.list_attempts(conn, caller.tenant_id, row.id)
    return schemas.DeliveryDetail(**_delivery(row), attempt_log=[_attempt(a) for a in attempts])


@router.post(
    "/deliveries/{delivery_id}/resend", status_code=202, tags=["Deliveries"], summary="Send a delivery again"
)
def resend_delivery(delivery_id: str, hub: Hub, caller: EventWriter) -> schemas.Delivery:
    """Same bytes, same `webhook-id`, a new timestamp and signature."""
    with hub.engine.begin() as conn:
        row = endpoints.resend(conn, caller, parse_id(Kind.DELIVERY, delivery_id, field="path.delivery_id"))
    hub.ring(TaskName.DELIVERIES_SEND, [delivery_id])
    return schemas.Delivery(**_delivery(row))


# -- rows to JSON ---------------------------------------------------------------------------------------------------


def _page(rows: Sequence[Row[Any]], paging: PageRequest, view: Callable[[Row[Any]], T]) -> Page[T]:
    kept, cursor = page_of(rows, paging.limit, lambda row: row.id)
    return Page(data=[view(row) for row in kept], next_cursor=cursor)


def _endpoint(row: Row[Any], shown: dict[Any, Description]) -> schemas.Endpoint:
    secret = shown.get(row.secret_id)
    return schemas.Endpoint(
        id=format_id(Kind.ENDPOINT, row.id),
        name=row.name,
        description=row.description,
        url=row.url,
        event_types=row.event_types,
        headers=row.headers,
        timeout_seconds=row.timeout_seconds,
        retry_schedule=row.retry_schedule,
        metadata=row.metadata,
        secret=None
        if secret is None
        else schemas.SecretView(last4=secret.last4, fingerprint=secret.fingerprint),
        status=row.status,
        status_reason=row.status_reason,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


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
