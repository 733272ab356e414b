"""Routes of endpoints; those of their keys are in `keys.api`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from hub.access.principal import Principal
from hub.core.ids import Kind, format_id
from hub.queue.contracts import TaskName
from hub.web.auth import requires
from hub.web.paging import Page, Paging, page_of
from hub.web.parameters import IfMatch
from hub.web.services import Hub, Services
from hub.webhooks.endpoints import challenge, importing, schemas, service, store, summary, trial, views
from hub.webhooks.endpoints.answers import endpoint_of, fields_of, tagged, with_secret
from hub.webhooks.endpoints.checking import check
from hub.webhooks.endpoints.keys import api as keys

router = APIRouter(tags=["Endpoints"])
#: Routes that need no API key, outside of `/v1`.
public = keys.public

Reader = Annotated[Principal, requires("endpoints:read")]
Writer = Annotated[Principal, requires("endpoints:write")]


@router.post("/endpoints", status_code=201, summary="Create an endpoint")
def create_endpoint(
    body: schemas.EndpointCreate, response: Response, hub: Hub, caller: Writer
) -> views.EndpointSecret:
    """Its signing secret is in this answer and never again."""
    now = datetime.now(UTC)
    check(body, hub.policy, now)
    with hub.engine.begin() as conn:
        row, secret = service.create(conn, caller, body, vault=hub.vault, now=now)
        return with_secret(conn, row, secret, hub, response)


@router.get("/endpoints", summary="List endpoints")
def list_endpoints(hub: Hub, caller: Reader, paging: Paging) -> Page[views.Endpoint]:
    """Newest first."""
    with hub.engine.connect() as conn:
        rows = store.list_endpoints(conn, caller.tenant_id, after=paging.after, limit=paging.fetch)
        kept, cursor = page_of(rows, paging.limit, lambda row: row.id)
        return Page(data=[views.Endpoint(**one) for one in fields_of(conn, kept, hub)], next_cursor=cursor)


@router.post("/endpoints/import", summary="Create many endpoints")
def import_endpoints(body: schemas.Import, hub: Hub, caller: Writer) -> views.ImportReport:
    """All or none, unless `partial` is set. Secrets may be brought along, so that receivers need not change."""
    now = datetime.now(UTC)
    items = importing.judge(body.endpoints, hub.policy, now)
    with hub.engine.connect() as conn:
        importing.write(conn, caller, items, vault=hub.vault, now=now)
        if not body.dry_run:
            if not body.partial and (refusal := importing.refusal(items)) is not None:
                raise refusal
            conn.commit()
    made = sum(item.made is not None for item in items)
    return views.ImportReport(
        dry_run=body.dry_run,
        created=0 if body.dry_run else made,
        refused=len(items) - made,
        data=[_imported(index, item, dry_run=body.dry_run) for index, item in enumerate(items)],
    )


@router.get("/endpoints/{endpoint_id}", summary="Read an endpoint")
def read_endpoint(endpoint_id: str, response: Response, hub: Hub, caller: Reader) -> views.EndpointDetail:
    """Its secrets are shown as their last four characters and a fingerprint."""
    now = datetime.now(UTC)
    with hub.engine.connect() as conn:
        row = store.find_endpoint(conn, caller.tenant_id, endpoint_of(endpoint_id))
        facts = summary.load(conn, caller.tenant_id, row.id, now - summary.PERIODS["24h"])
        fields = tagged(conn, row, hub, response)
    return views.EndpointDetail(**fields, monitoring=views.Monitoring(**summary.monitoring(facts)))


@router.patch("/endpoints/{endpoint_id}", summary="Change, pause or re-enable an endpoint")
def update_endpoint(
    endpoint_id: str,
    body: schemas.EndpointUpdate,
    response: Response,
    hub: Hub,
    caller: Writer,
    if_match: IfMatch = None,
) -> views.Endpoint:
    """What is left out stays. Setting `status` to `active` sends what was held meanwhile."""
    now = datetime.now(UTC)
    check(body, hub.policy, now)
    with hub.engine.begin() as conn:
        row, resumed = service.change(
            conn, caller, endpoint_of(endpoint_id), body, vault=hub.vault, now=now, if_match=if_match
        )
        fields = tagged(conn, row, hub, response)
    if resumed:
        hub.ring(TaskName.DELIVERIES_SEND)
    return views.Endpoint(**fields)


@router.delete("/endpoints/{endpoint_id}", status_code=204, summary="Delete an endpoint")
def delete_endpoint(endpoint_id: str, hub: Hub, caller: Writer, if_match: IfMatch = None) -> Response:
    """What waits for it is cancelled; its history stays readable."""
    with hub.engine.begin() as conn:
        service.remove(conn, caller, endpoint_of(endpoint_id), vault=hub.vault, if_match=if_match)
    return Response(status_code=204)


@router.post("/endpoints/{endpoint_id}/pause", summary="Pause an endpoint")
def pause_endpoint(
    endpoint_id: str,
    response: Response,
    hub: Hub,
    caller: Writer,
    body: schemas.Backlog = schemas.Backlog(),
) -> views.EndpointSwitched:
    """What is for it waits, and is sent when it is resumed; or, with `discard`, what waits now is cancelled."""
    fields, _ = _switch(endpoint_id, "paused", response, hub, caller)
    discarded = _discard(endpoint_id, body, hub, caller)
    return views.EndpointSwitched(**fields, discarded=discarded)


@router.post("/endpoints/{endpoint_id}/resume", summary="Resume an endpoint")
def resume_endpoint(
    endpoint_id: str,
    response: Response,
    hub: Hub,
    caller: Writer,
    body: schemas.Backlog = schemas.Backlog(),
) -> views.EndpointSwitched:
    """What waited is sent, at its drain rate; or, with `discard`, cancelled before anything is sent."""
    discarded = _discard(endpoint_id, body, hub, caller)
    fields, resumed = _switch(endpoint_id, "active", response, hub, caller)
    if resumed:
        hub.ring(TaskName.DELIVERIES_SEND)
    return views.EndpointSwitched(**fields, discarded=discarded)


@router.post("/endpoints/{endpoint_id}/verify", summary="Verify that an endpoint answers for its URL")
def verify_endpoint(endpoint_id: str, response: Response, hub: Hub, caller: Writer) -> views.Endpoint:
    """Posts `{"type": "endpoint.challenge", "challenge": "…"}`, signed; the receiver has to answer with the challenge.

    As `{"challenge": "…"}` or as plain text, with a 2xx, within ten seconds.
    """
    row, resumed = challenge.verify(hub, caller, endpoint_of(endpoint_id), datetime.now(UTC))
    with hub.engine.connect() as conn:
        fields = tagged(conn, row, hub, response)
    if resumed:
        hub.ring(TaskName.DELIVERIES_SEND)
    return views.Endpoint(**fields)


@router.post("/endpoints/{endpoint_id}/test", status_code=202, summary="Send a test event to an endpoint")
def try_endpoint(
    endpoint_id: str,
    hub: Hub,
    caller: Writer,
    body: schemas.Trial = schemas.Trial(),
    wait: Annotated[
        float, Query(ge=0, le=trial.MAX_WAIT, description="Seconds to wait for the first attempt.")
    ] = 0.0,
) -> views.TrialSent:
    """To this endpoint alone, whatever it subscribes to. Its delivery can be read like any other."""
    with hub.engine.begin() as conn:
        delivery_id = trial.send(conn, caller, endpoint_of(endpoint_id), body)
    hub.ring(TaskName.DELIVERIES_SEND, [format_id(Kind.DELIVERY, delivery_id)])
    delivery, attempt = trial.outcome(hub.engine, caller, delivery_id, seconds=wait)
    return views.TrialSent(
        event=format_id(Kind.MESSAGE, delivery.message_id),
        delivery=format_id(Kind.DELIVERY, delivery.id),
        state=delivery.state,
        reason=delivery.reason,
        attempts=delivery.attempt,
        status=attempt and attempt.status,
        error_class=attempt and attempt.error_class,
        message=attempt and attempt.message,
        total_ms=attempt and attempt.total_ms,
    )


@router.get("/endpoints/{endpoint_id}/statistics", summary="How an endpoint does")
def read_statistics(
    endpoint_id: str, hub: Hub, caller: Reader, period: summary.Period = "24h"
) -> views.Statistics:
    """Attempts of a period up to now, and what holds its deliveries back."""
    now = datetime.now(UTC)
    key = endpoint_of(endpoint_id)
    with hub.engine.connect() as conn:
        store.find_endpoint(conn, caller.tenant_id, key)
        facts = summary.load(conn, caller.tenant_id, key, now - summary.PERIODS[period])
    return views.Statistics(**summary.statistics(facts, period, now))


router.include_router(keys.router)


def _switch(
    endpoint_id: str, status: str, response: Response, hub: Services, caller: Principal
) -> tuple[dict[str, Any], bool]:
    body = schemas.EndpointUpdate.model_validate({"status": status})
    with hub.engine.begin() as conn:
        row, resumed = service.change(
            conn, caller, endpoint_of(endpoint_id), body, vault=hub.vault, now=datetime.now(UTC)
        )
        return tagged(conn, row, hub, response), resumed


def _discard(endpoint_id: str, body: schemas.Backlog, hub: Services, caller: Principal) -> int:
    """How many of the deliveries that wait were cancelled: none unless that was asked for."""
    if body.backlog != "discard":
        return 0
    return service.discard_backlog(hub.engine, caller, endpoint_of(endpoint_id))


def _imported(index: int, item: importing.Item, *, dry_run: bool) -> views.Imported:
    if item.made is None:
        faults = [views.Fault(path=one.path, message=one.message) for one in item.faults]
        return views.Imported(index=index, name=item.name, result="refused", errors=faults)
    if dry_run:
        return views.Imported(index=index, name=item.name, result="valid")
    return views.Imported(
        index=index,
        name=item.name,
        result="created",
        id=format_id(Kind.ENDPOINT, item.made),
        signing_secret=None if item.secret is None else item.secret.reveal(),
    )
