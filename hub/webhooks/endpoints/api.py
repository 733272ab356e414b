"""Routes of endpoints."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from sqlalchemy import Connection, Row

from hub.access.principal import Principal
from hub.core.errors import NotFound
from hub.core.ids import Kind, format_id, parse_id
from hub.core.secret import Secret
from hub.queue.contracts import TaskName
from hub.web.auth import requires
from hub.web.etags import IfMatch, etag_of
from hub.web.paging import Page, Paging, page_of
from hub.web.problems import MEDIA_TYPE
from hub.web.services import Hub, Services
from hub.webhooks.endpoints import (
    challenge,
    importing,
    rotation,
    schemas,
    service,
    store,
    summary,
    trial,
    views,
)
from hub.webhooks.endpoints.checking import check
from hub.webhooks.endpoints.overlap import live
from hub.webhooks.signing import jwk_of

router = APIRouter(tags=["Endpoints"])
#: Routes that need no API key, outside of `/v1`.
public = APIRouter(tags=["Endpoints"])

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
        return _with_secret(conn, row, secret, hub, response)


@router.get("/endpoints", summary="List endpoints")
def list_endpoints(hub: Hub, caller: Reader, paging: Paging) -> Page[views.Endpoint]:
    """Newest first."""
    with hub.engine.connect() as conn:
        rows = store.list_endpoints(conn, caller.tenant_id, after=paging.after, limit=paging.fetch)
        kept, cursor = page_of(rows, paging.limit, lambda row: row.id)
        return Page(data=[views.Endpoint(**one) for one in _fields(conn, kept, hub)], next_cursor=cursor)


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
        row = store.find_endpoint(conn, caller.tenant_id, _id(endpoint_id))
        facts = summary.load(conn, caller.tenant_id, row.id, now - summary.PERIODS["24h"])
        fields = _one(conn, row, hub, response)
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
            conn, caller, _id(endpoint_id), body, vault=hub.vault, now=now, if_match=if_match
        )
        fields = _one(conn, row, hub, response)
    if resumed:
        hub.ring(TaskName.DELIVERIES_SEND)
    return views.Endpoint(**fields)


@router.delete("/endpoints/{endpoint_id}", status_code=204, summary="Delete an endpoint")
def delete_endpoint(endpoint_id: str, hub: Hub, caller: Writer, if_match: IfMatch = None) -> Response:
    """What waits for it is cancelled; its history stays readable."""
    with hub.engine.begin() as conn:
        service.remove(conn, caller, _id(endpoint_id), vault=hub.vault, if_match=if_match)
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
    discarded = (
        service.discard_backlog(hub.engine, caller, _id(endpoint_id)) if body.backlog == "discard" else 0
    )
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
    discarded = (
        service.discard_backlog(hub.engine, caller, _id(endpoint_id)) if body.backlog == "discard" else 0
    )
    fields, resumed = _switch(endpoint_id, "active", response, hub, caller)
    if resumed:
        hub.ring(TaskName.DELIVERIES_SEND)
    return views.EndpointSwitched(**fields, discarded=discarded)


@router.post("/endpoints/{endpoint_id}/verify", summary="Verify that an endpoint answers for its URL")
def verify_endpoint(endpoint_id: str, response: Response, hub: Hub, caller: Writer) -> views.Endpoint:
    """Posts `{"type": "endpoint.challenge", "challenge": "…"}`, signed; the receiver has to answer with the challenge.

    As `{"challenge": "…"}` or as plain text, with a 2xx, within ten seconds.
    """
    row, resumed = challenge.verify(hub, caller, _id(endpoint_id), datetime.now(UTC))
    with hub.engine.connect() as conn:
        fields = _one(conn, row, hub, response)
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
        delivery_id = trial.send(conn, caller, _id(endpoint_id), body)
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
    key = _id(endpoint_id)
    with hub.engine.connect() as conn:
        store.find_endpoint(conn, caller.tenant_id, key)
        facts = summary.load(conn, caller.tenant_id, key, now - summary.PERIODS[period])
    return views.Statistics(**summary.statistics(facts, period, now))


# -- keys -----------------------------------------------------------------------------------------------------------


@router.post("/endpoints/{endpoint_id}/secret/rotate", summary="Give an endpoint a new signing secret")
def rotate_secret(
    endpoint_id: str,
    response: Response,
    hub: Hub,
    caller: Writer,
    body: schemas.SecretRotation = schemas.SecretRotation(),
) -> views.EndpointSecret:
    """Deliveries carry the signatures of both for the overlap. The new secret is in this answer and never again."""
    with hub.engine.begin() as conn:
        row, secret = rotation.rotate_secret(
            conn, caller, _id(endpoint_id), body, vault=hub.vault, now=datetime.now(UTC)
        )
        return _with_secret(conn, row, secret, hub, response)


@router.delete("/endpoints/{endpoint_id}/secret/previous", summary="End the overlap of signing secrets")
def end_secret_overlap(endpoint_id: str, response: Response, hub: Hub, caller: Writer) -> views.Endpoint:
    """Only the current secret signs from now on."""
    return _end_overlap(endpoint_id, "previous_secrets", response, hub, caller)


@router.post("/endpoints/{endpoint_id}/key/rotate", summary="Give an endpoint a new ed25519 key")
def rotate_key(
    endpoint_id: str,
    response: Response,
    hub: Hub,
    caller: Writer,
    body: schemas.KeyRotation = schemas.KeyRotation(),
) -> views.Endpoint:
    """Both keys sign for the overlap, and both public keys are published."""
    with hub.engine.begin() as conn:
        row = rotation.rotate_key(
            conn, caller, _id(endpoint_id), body, vault=hub.vault, now=datetime.now(UTC)
        )
        return views.Endpoint(**_one(conn, row, hub, response))


@router.delete("/endpoints/{endpoint_id}/key/previous", summary="End the overlap of ed25519 keys")
def end_key_overlap(endpoint_id: str, response: Response, hub: Hub, caller: Writer) -> views.Endpoint:
    """Only the current key signs from now on."""
    return _end_overlap(endpoint_id, "previous_keys", response, hub, caller)


@router.get("/endpoints/{endpoint_id}/jwks", summary="Public keys of an endpoint")
def read_keys(endpoint_id: str, hub: Hub, caller: Reader) -> views.JsonWebKeys:
    """Its current ed25519 key and those that still sign; empty without one."""
    with hub.engine.connect() as conn:
        return _keys(store.find_endpoint(conn, caller.tenant_id, _id(endpoint_id)))


_PROBLEM = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


@public.get(
    "/jwks/{endpoint_id}",
    summary="Public keys of an endpoint, for its receiver",
    responses={
        404: {"description": "There are none.", **_PROBLEM},
        422: {"description": "Not an id.", **_PROBLEM},
    },
)
def read_public_keys(endpoint_id: str, response: Response, hub: Hub) -> views.JsonWebKeys:
    """Needs no API key: whoever receives from the endpoint verifies `v1a` signatures with these."""
    with hub.engine.connect() as conn:
        row = store.find_keyed(conn, _id(endpoint_id))
    if row is None:
        raise NotFound(f"There are no public keys of {endpoint_id}.")
    # As long as an overlap of an hour lets a receiver miss nothing.
    response.headers["Cache-Control"] = "public, max-age=300"
    return _keys(row)


# -- rows to JSON ---------------------------------------------------------------------------------------------------


def _id(text: str) -> uuid.UUID:
    return parse_id(Kind.ENDPOINT, text, field="path.endpoint_id")


def _fields(conn: Connection, rows: Sequence[Row[Any]], hub: Services) -> list[dict[str, Any]]:
    if not rows:
        return []
    tenant_id = rows[0].tenant_id
    now = datetime.now(UTC)
    shown = hub.vault.describe(conn, tenant_id, [one for row in rows for one in views.shown_secrets(row)])
    lanes = store.load_lanes(conn, tenant_id, [row.id for row in rows])
    return [views.endpoint_fields(row, shown, lanes[row.id].hold, now) for row in rows]


def _one(conn: Connection, row: Row[Any], hub: Services, response: Response) -> dict[str, Any]:
    response.headers["ETag"] = etag_of(row.version)
    return _fields(conn, [row], hub)[0]


def _with_secret(
    conn: Connection, row: Row[Any], secret: Secret, hub: Services, response: Response
) -> views.EndpointSecret:
    response.headers["Cache-Control"] = "no-store"
    return views.EndpointSecret(**_one(conn, row, hub, response), signing_secret=secret.reveal())


def _switch(
    endpoint_id: str, status: str, response: Response, hub: Services, caller: Principal
) -> tuple[dict[str, Any], bool]:
    body = schemas.EndpointUpdate.model_validate({"status": status})
    with hub.engine.begin() as conn:
        row, resumed = service.change(
            conn, caller, _id(endpoint_id), body, vault=hub.vault, now=datetime.now(UTC)
        )
        return _one(conn, row, hub, response), resumed


def _end_overlap(
    endpoint_id: str, column: str, response: Response, hub: Services, caller: Principal
) -> views.Endpoint:
    with hub.engine.begin() as conn:
        row = rotation.end_overlap(conn, caller, _id(endpoint_id), column, vault=hub.vault)
        return views.Endpoint(**_one(conn, row, hub, response))


def _keys(row: Row[Any]) -> views.JsonWebKeys:
    older = [one.public_key for one in live(row.previous_keys, datetime.now(UTC))]
    return views.JsonWebKeys(keys=[jwk_of(key) for key in (row.public_key, *older) if key is not None])


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
