"""Routes of replays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection, Row

from hub.access.principal import Principal
from hub.core.ids import Kind, format_id, parse_id
from hub.db.engine import snapshot
from hub.queue.contracts import TaskName
from hub.web.auth import requires
from hub.web.idempotency import REPLAYED, run_idempotent
from hub.web.paging import Page, Paging, page_of
from hub.web.parameters import RawBody
from hub.web.services import Hub, Services
from hub.webhooks.replay import jobs, schemas, store, views

router = APIRouter()

Reader = Annotated[Principal, requires("events:read")]
Writer = Annotated[Principal, requires("events:write")]


@router.post(
    "/replays",
    status_code=202,
    tags=["Replays"],
    summary="Send events again",
    response_model=schemas.Replay,
    responses={200: {"model": schemas.DryRun, "description": "What it would do."}},
)
def create_replay(
    body: schemas.ReplayCreate, raw: RawBody, request: Request, hub: Hub, caller: Writer
) -> Response:
    """A job that looks through a range of time and makes deliveries due at its rate; with `dry_run` it only counts.

    Receivers get the same bytes and the same `webhook-id`. New events go before it. What is for an endpoint that is
    paused or disabled waits until it is active again. What waits for a retry is left alone and counted as `waiting`;
    with `due` among the `states` the retry is made now.
    """
    now = datetime.now(UTC)
    values = jobs.read(caller, body, now)
    if body.dry_run:
        with hub.engine.begin() as conn:
            tally = jobs.try_out(conn, values)
            held = store.count_held(conn, caller.tenant_id, values["endpoint_id"])
        return Response(views.dry_run(tally, held).model_dump_json(), media_type="application/json")
    oldest = now - timedelta(days=hub.settings.retention_days)

    def work(conn: Connection) -> tuple[int, schemas.Replay, Any]:
        row = jobs.create(conn, caller, values, oldest=oldest)
        return 202, schemas.Replay(**views.replay(row)), row.id

    answer = run_idempotent(hub, caller, request.headers, "replays.create", raw, work)
    if REPLAYED not in answer.headers:
        hub.ring(TaskName.REPLAYS_RUN)
    return answer


@router.get("/replays", tags=["Replays"], summary="List replays")
def list_replays(hub: Hub, caller: Reader, paging: Paging) -> Page[schemas.Replay]:
    """Newest first."""
    with hub.engine.connect() as conn:
        rows = store.list_replays(conn, caller.tenant_id, after=paging.after, limit=paging.fetch)
    kept, cursor = page_of(rows, paging.limit, lambda row: row.id)
    return Page(data=[schemas.Replay(**views.replay(row)) for row in kept], next_cursor=cursor)


@router.get("/replays/{replay_id}", tags=["Replays"], summary="Read a replay")
def read_replay(replay_id: str, hub: Hub, caller: Reader) -> schemas.ReplayDetail:
    """How far it came, and what became of what it sent."""
    with snapshot(hub.engine) as conn:
        row = store.find_replay(conn, caller.tenant_id, _id(replay_id))
        outcomes = store.count_outcomes(conn, row.id, limit=views.MAX_OUTCOMES)
        held = store.count_held(conn, caller.tenant_id, row.endpoint_id)
    return views.detail(row, outcomes, held)


@router.post("/replays/{replay_id}/pause", tags=["Replays"], summary="Pause a replay")
def pause_replay(replay_id: str, hub: Hub, caller: Writer) -> schemas.Replay:
    """What it made due so far is still sent."""
    return schemas.Replay(**views.replay(_steer(hub, caller, replay_id, "paused")))


@router.post("/replays/{replay_id}/resume", tags=["Replays"], summary="Let a paused replay go on")
def resume_replay(replay_id: str, hub: Hub, caller: Writer) -> schemas.Replay:
    """From where it stopped."""
    row = _steer(hub, caller, replay_id, "running")
    hub.ring(TaskName.REPLAYS_RUN)
    return schemas.Replay(**views.replay(row))


@router.post("/replays/{replay_id}/cancel", tags=["Replays"], summary="Cancel a replay")
def cancel_replay(replay_id: str, hub: Hub, caller: Writer) -> schemas.Replay:
    """For good. What it made due so far is still sent."""
    return schemas.Replay(**views.replay(_steer(hub, caller, replay_id, "cancelled")))


@router.post(
    "/events/{event_id}/resend",
    status_code=202,
    tags=["Events"],
    summary="Send an event again",
    response_model=schemas.EventResent,
)
def resend_event(
    event_id: str,
    raw: RawBody,
    request: Request,
    hub: Hub,
    caller: Writer,
    body: schemas.EventResend | None = None,
) -> Response:
    """To every endpoint that takes it now, also one that did not get it; or to one endpoint.

    What is being sent at this moment is left alone.
    """
    message_id = parse_id(Kind.MESSAGE, event_id, field="path.event_id")
    endpoint = None if body is None else body.endpoint
    endpoint_id = None if endpoint is None else parse_id(Kind.ENDPOINT, endpoint, field="endpoint")

    def work(conn: Connection) -> tuple[int, schemas.EventResent, Any]:
        sent = jobs.resend_event(conn, caller, message_id, endpoint_id)
        ids = [format_id(Kind.DELIVERY, one) for one in sent]
        return 202, schemas.EventResent(event=event_id, deliveries=ids), message_id

    answer = run_idempotent(hub, caller, request.headers, f"events.resend:{message_id.hex}", raw, work)
    hub.ring(TaskName.DELIVERIES_SEND, [event_id])
    return answer


def _id(text: str) -> Any:
    return parse_id(Kind.REPLAY, text, field="path.replay_id")


def _steer(
    hub: Services, caller: Principal, replay_id: str, to: Literal["paused", "running", "cancelled"]
) -> Row[Any]:
    with hub.engine.begin() as conn:
        return jobs.steer(conn, caller, _id(replay_id), to)
