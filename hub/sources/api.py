"""Routes of sources, for people; where providers call is `receive_route`."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import Connection, Row

from hub.access.principal import Principal
from hub.core.ids import Kind, format_id, parse_id
from hub.queue.contracts import TaskName
from hub.sources import registry, schemas, store
from hub.sources.certificates import guarded_fetch
from hub.sources.overlap import live_ids
from hub.sources.replaying import replay
from hub.sources.verification import PROFILES, Profile
from hub.sources.views import request_detail, request_view, source_view
from hub.web.auth import requires
from hub.web.paging import Page, Paging, page_of
from hub.web.services import Hub, Services

router = APIRouter(tags=["Sources"])

Reader = Annotated[Principal, requires("sources:read")]
Writer = Annotated[Principal, requires("sources:write")]


@router.post("/sources", status_code=201, summary="Create a source")
def create_source(body: schemas.SourceCreate, request: Request, hub: Hub, caller: Writer) -> schemas.Source:
    """Its `url` is what to tell the provider; see `warning`."""
    with hub.engine.begin() as conn:
        row = registry.create(conn, caller, body, vault=hub.vault)
        return _sources(conn, [row], hub, request)[0]


@router.get("/sources", summary="List sources")
def list_sources(request: Request, hub: Hub, caller: Reader, paging: Paging) -> Page[schemas.Source]:
    """Newest first."""
    with hub.engine.connect() as conn:
        rows = store.list_sources(conn, caller.tenant_id, after=paging.after, limit=paging.fetch)
        kept, cursor = page_of(rows, paging.limit, lambda row: row.id)
        return Page(data=_sources(conn, kept, hub, request), next_cursor=cursor)


@router.get("/sources/{source_id}", summary="Read a source")
def read_source(source_id: str, request: Request, hub: Hub, caller: Reader) -> schemas.Source:
    """Its secrets are shown by id and, if they are long enough, by their last four characters and a fingerprint."""
    with hub.engine.connect() as conn:
        row = store.find_source(conn, caller.tenant_id, _source(source_id))
        return _sources(conn, [row], hub, request)[0]


@router.patch("/sources/{source_id}", summary="Change, pause or resume a source")
def update_source(
    source_id: str, body: schemas.SourceUpdate, request: Request, hub: Hub, caller: Writer
) -> schemas.Source:
    """What is left out stays. Holds for requests that come a second later."""
    with hub.engine.begin() as conn:
        row = registry.change(conn, caller, _source(source_id), body)
        return _sources(conn, [row], hub, request)[0]


@router.delete("/sources/{source_id}", status_code=204, summary="Delete a source")
def delete_source(source_id: str, hub: Hub, caller: Writer) -> Response:
    """With its secrets. Events that were made of its requests stay."""
    with hub.engine.begin() as conn:
        registry.remove(conn, caller, _source(source_id), vault=hub.vault)
    return Response(status_code=204)


@router.post("/sources/{source_id}/rotate", summary="Give a source a new secret")
def rotate_secret(
    source_id: str, body: schemas.Rotation, request: Request, hub: Hub, caller: Writer
) -> schemas.Source:
    """The secrets before it stay valid for the overlap."""
    with hub.engine.begin() as conn:
        row = registry.rotate_secret(
            conn, caller, _source(source_id), body, vault=hub.vault, now=datetime.now(UTC)
        )
        return _sources(conn, [row], hub, request)[0]


# -- what came --------------------------------------------------------------------------------------------------------


@router.get("/sources/{source_id}/requests", summary="List what a provider sent")
def list_requests(
    source_id: str,
    hub: Hub,
    caller: Reader,
    paging: Paging,
    outcome: Annotated[schemas.Outcome | None, Query(description="Only those with this outcome.")] = None,
) -> Page[schemas.InboundRequest]:
    """Newest first. Of those that made no event the newest hundred of each outcome are kept, of a flood a sample."""
    key = _source(source_id)
    with hub.engine.connect() as conn:
        store.find_source(conn, caller.tenant_id, key)
        rows = store.list_inbound(
            conn, caller.tenant_id, key, outcome=outcome, after=paging.after, limit=paging.fetch
        )
    kept, cursor = page_of(rows, paging.limit, lambda row: row.id)
    return Page(data=[schemas.InboundRequest(**request_view(row)) for row in kept], next_cursor=cursor)


@router.get("/sources/{source_id}/requests/{request_id}", summary="Read what a provider sent")
def read_request(source_id: str, request_id: str, hub: Hub, caller: Reader) -> schemas.InboundRequestDetail:
    """With its headers and body, and why it was verified or not."""
    with hub.engine.connect() as conn:
        row = store.find_inbound(conn, caller.tenant_id, _source(source_id), _request(request_id))
    return request_detail(row)


@router.post("/sources/{source_id}/requests/{request_id}/replay", summary="Feed a request in again")
def replay_request(source_id: str, request_id: str, hub: Hub, caller: Writer) -> schemas.InboundRequestDetail:
    """Verifies it anew, without the rule of age; makes an event if none was made of it."""
    row, made = replay(
        hub.engine,
        caller,
        _source(source_id),
        _request(request_id),
        vault=hub.vault,
        settings=hub.settings,
        fetch=guarded_fetch(hub.policy),
        now=datetime.now(UTC),
    )
    if made:
        hub.ring(TaskName.DELIVERIES_SEND, [format_id(Kind.MESSAGE, row.message_id)])
    return request_detail(row)


@router.get("/source-profiles", summary="List verifier profiles")
def list_profiles(_caller: Reader) -> schemas.Profiles:
    """Providers that the hub knows: name one as `verifier.profile`."""
    return schemas.Profiles(data=[_profile(name, profile) for name, profile in sorted(PROFILES.items())])


def _profile(name: str, profile: Profile) -> schemas.ProfileView:
    told = {one.name: getattr(profile, one.name) for one in fields(profile)}
    return schemas.ProfileView(
        name=name, **{key: value for key, value in told.items() if not callable(value)}
    )


def _sources(
    conn: Connection, rows: Sequence[Row[Any]], hub: Services, request: Request
) -> list[schemas.Source]:
    now = datetime.now(UTC)
    origin = hub.settings.public_url or str(request.base_url).rstrip("/")
    ids = [one for row in rows for one, _ in live_ids(row.secrets, now.timestamp())]
    shown = hub.vault.describe(conn, rows[0].tenant_id, ids) if ids else {}
    return [source_view(row, shown, origin=origin, now=now) for row in rows]


def _source(text: str) -> uuid.UUID:
    return parse_id(Kind.SOURCE, text, field="path.source_id")


def _request(text: str) -> uuid.UUID:
    return parse_id(Kind.RECEIPT, text, field="path.request_id")
