"""Routes of executions: asking for them, looking at them, and making them again."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from hub.access.principal import Principal
from hub.core.errors import Conflict, FieldError, Invalid, NotFound
from hub.core.ids import Kind, new_uuid, parse_id
from hub.db.engine import snapshot
from hub.db.states import State
from hub.integrations.executions import store, views
from hub.integrations.executions.acceptance import DEPRECATION, Acceptance, find
from hub.integrations.executions.accepting import Caller, Wish, check_access
from hub.integrations.executions.cancelling import cancel
from hub.integrations.executions.curl import Command, Facts, command_of
from hub.integrations.executions.quota import over
from hub.integrations.executions.schemas import (
    Accepted,
    AcceptedBatch,
    Batch,
    DryRun,
    DryRunIn,
    ExecuteBatchIn,
    ExecuteIn,
    Execution,
    ExecutionDetail,
    LinkView,
    ReplayIn,
)
from hub.integrations.executions.tracing import continue_trace
from hub.integrations.executions.waiting import preferred_wait
from hub.integrations.pipeline import chain
from hub.integrations.pipeline.call import Call, Context
from hub.integrations.registry import service
from hub.integrations.services import Bench, Workshop
from hub.integrations.target import load_target, secret_ids
from hub.web.auth import requires
from hub.web.paging import Page, Paging, page_of
from hub.web.parameters import RawBody
from hub.web.services import Hub, Services

log = logging.getLogger(__name__)
router = APIRouter(tags=["Executions"])

# What lies beyond is, in some time zone, a year that Python cannot name.
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)

Reader = Annotated[Principal, requires("executions:read")]
Writer = Annotated[Principal, requires("executions:write")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="The same request of the same API key with the same key is done once; API keys do not share them.",
    ),
]
Prefer = Annotated[
    str | None,
    Header(description="`wait=10`: answer with the result if it is there within so many seconds (≤ 60)."),
]
Traceparent = Annotated[
    str | None,
    Header(description="W3C trace context; it is sent on to the service. Unset: a new trace begins."),
]


@router.post(
    "/integrations/{integration_id}/execute",
    status_code=202,
    response_model=Accepted,
    responses={200: {"model": ExecutionDetail, "description": "It finished within the wait."}},
)
async def execute(
    integration_id: str,
    body: ExecuteIn,
    raw: RawBody,
    caller: Writer,
    hub: Hub,
    request: Request,
    workshop: Workshop,
    prefer: Prefer = None,
    traceparent: Traceparent = None,
    _key: IdempotencyKey = None,
) -> Response:
    """Execute an operation: stored and accepted, or, with `Prefer: wait=10`, answered with its result."""
    wish = _wish(body, "", continue_trace(traceparent))
    accept = Acceptance(hub, workshop, caller, request, f"{integration_id}/execute", raw)
    response, (public_id,) = await run_in_threadpool(accept.one, integration_id, wish)
    return await _answer(hub, workshop, caller, request, response, public_id, prefer)


@router.post("/integrations/{integration_id}/execute-batch", status_code=202, response_model=AcceptedBatch)
def execute_batch(
    integration_id: str,
    body: ExecuteBatchIn,
    raw: RawBody,
    caller: Writer,
    hub: Hub,
    request: Request,
    workshop: Workshop,
    traceparent: Traceparent = None,
    _key: IdempotencyKey = None,
) -> Response:
    """Execute up to 1,000 operations: all are accepted, or none. The batch tells how far it is."""
    trace = continue_trace(traceparent)
    wishes = [_wish(item, f"items.{index}.", trace) for index, item in enumerate(body.items)]
    accept = Acceptance(hub, workshop, caller, request, f"{integration_id}/execute-batch", raw)
    return accept.many(integration_id, wishes)


@router.post("/integrations/{integration_id}/dry-run")
def dry_run(integration_id: str, body: DryRunIn, caller: Writer, hub: Hub, workshop: Workshop) -> DryRun:
    """What an execution would do: every link of the chain up to the call, which is not made. Nothing is used up."""
    with hub.engine.connect() as conn:
        row = service.get(conn, caller.tenant_id, _integration(integration_id))
        loaded = load_target(row, {})
        if loaded is None:
            raise Conflict("The integration cannot be called here: what it needs is not installed.")
        over_quota = None if not loaded.has_quota else over(conn, row.id, loaded.quota, datetime.now(UTC))
    check_access(loaded.access, Caller(caller.key_id, caller.roles), body.user)
    # Its secrets stay closed; what is shown of them is masked anyway.
    target = replace(loaded, broken=None)
    context = Context(new_uuid(), caller=caller.key_id, user=body.user, over_quota=over_quota, dry=True)
    with hub.slow.place(caller.tenant_id):
        links = chain.dry_run(target, body.operation, body.input, context, workshop.tools)
        judged = chain.judge(target, body.operation, body.input, context, workshop.tools)
    prepared = judged.prepared if isinstance(judged, Call) else None
    command = Command(None)
    if prepared is not None:
        facts = Facts(row.tls, secret_ids(row).keys(), context.execution_id.hex)
        command = command_of(target, prepared, facts)
    return DryRun(
        would_call=all(link["result"] == "passed" for link in links),
        links=[LinkView(**link) for link in links],
        request=None if prepared is None else views.request(prepared),
        curl=command.text,
        curl_note=command.note,
    )


@router.get("/execution-batches/{batch_id}")
def read_batch(batch_id: str, caller: Reader, hub: Hub) -> Batch:
    """How far a batch is. Its executions: `GET /v1/executions?batch=…`."""
    with hub.engine.connect() as conn:
        states = store.count_batch(
            conn, caller.tenant_id, parse_id(Kind.BATCH, batch_id, field="path.batch_id")
        )
    if not states:
        raise NotFound(f"There is no batch {batch_id}.")
    finished = sum(count for state, count in states.items() if State(state).finished)
    return Batch(id=batch_id, total=sum(states.values()), finished=finished, states=states)


@router.get("/executions")
def list_executions(
    caller: Reader,
    hub: Hub,
    paging: Paging,
    integration: Annotated[str | None, Query(description="Only those of this integration.")] = None,
    operation: Annotated[str | None, Query(max_length=64)] = None,
    state: Annotated[State | None, Query(description="Only those in this state.")] = None,
    error_class: Annotated[str | None, Query(max_length=64, description="Failed ones of this type.")] = None,
    status: Annotated[int | None, Query(ge=0, le=999, description="Of the service's answer.")] = None,
    batch: str | None = None,
    schedule: str | None = None,
    flow: str | None = None,
    event: Annotated[str | None, Query(description="Those that this event started.")] = None,
    user: Annotated[str | None, Query(max_length=256)] = None,
    since: Annotated[datetime | None, Query(description="Accepted then or later.")] = None,
    until: Annotated[datetime | None, Query(description="Accepted before.")] = None,
) -> Page[Execution]:
    """List executions, newest first."""
    for name, moment in (("since", since), ("until", until)):
        if moment is not None and moment.tzinfo is None:
            text = "must have an offset, such as 2026-11-01T00:00:00Z"
            raise Invalid(f"{name} {text}.", fields=(FieldError(f"query.{name}", text),))
    with hub.engine.connect() as conn:
        rows = store.list_executions(
            conn,
            caller.tenant_id,
            after=paging.after,
            limit=paging.fetch,
            since=since,
            until=until,
            integration_id=_optional(Kind.INTEGRATION, integration, "query.integration"),
            operation=operation,
            state=None if state is None else state.value,
            error_class=error_class,
            status=status,
            batch_id=_optional(Kind.BATCH, batch, "query.batch"),
            schedule_id=_optional(Kind.SCHEDULE, schedule, "query.schedule"),
            flow_id=_optional(Kind.FLOW, flow, "query.flow"),
            event_id=_optional(Kind.MESSAGE, event, "query.event"),
            on_behalf_of=user,
        )
    page, cursor = page_of(rows, paging.limit, lambda row: row.id)
    return Page(data=[views.execution(row) for row in page], next_cursor=cursor)


@router.get("/executions/{execution_id}")
def read_execution(execution_id: str, caller: Reader, hub: Hub) -> ExecutionDetail:
    """Read an execution with its result and every attempt."""
    return _detail(hub, caller, _execution(execution_id))


@router.post("/executions/{execution_id}/cancel")
def cancel_execution(execution_id: str, caller: Writer, hub: Hub, workshop: Workshop) -> ExecutionDetail:
    """Cancel an execution that is not finished. A call under way is cut off; whether it arrived is unknown."""
    wanted = _execution(execution_id)
    cancelled = cancel(hub.engine, workshop.doors, caller.tenant_id, wanted, workshop.announcer)
    detail = _detail(hub, caller, wanted)
    if not cancelled:
        raise Conflict(f"The execution is {detail.state} already.")
    return detail


@router.post(
    "/executions/{execution_id}/replay",
    status_code=202,
    response_model=Accepted,
    responses={200: {"model": ExecutionDetail, "description": "It finished within the wait."}},
)
async def replay_execution(
    execution_id: str,
    raw: RawBody,
    caller: Writer,
    hub: Hub,
    request: Request,
    workshop: Workshop,
    body: ReplayIn | None = None,
    prefer: Prefer = None,
    _key: IdempotencyKey = None,
) -> Response:
    """Make an execution once more, as a new one, with another input if wanted."""
    wanted = _execution(execution_id)
    accept = Acceptance(hub, workshop, caller, request, f"{execution_id}/replay", raw)
    response, (public_id,) = await run_in_threadpool(accept.again, wanted, body or ReplayIn())
    return await _answer(hub, workshop, caller, request, response, public_id, prefer)


async def _answer(
    hub: Services,
    workshop: Bench,
    caller: Principal,
    request: Request,
    response: Response,
    public_id: str,
    prefer: str | None,
) -> Response:
    """The acceptance, or the result if it is there within the wait that the caller prefers."""
    execution_id = parse_id(Kind.EXECUTION, public_id)
    location = request.app.url_path_for("read_execution", execution_id=public_id)
    seconds = preferred_wait(prefer)
    if seconds is not None and await workshop.waiters.wait(execution_id, seconds):
        try:
            detail = await run_in_threadpool(_detail, hub, caller, execution_id)
        except SQLAlchemyError as error:
            # It is accepted: a 503 here would say that it is not.
            log.warning("The result of an execution could not be read (%s).", type(error).__name__)
            response.headers["Location"] = location
            return response
        headers = {"Location": location, "Preference-Applied": f"wait={int(seconds)}"}
        headers |= {name: response.headers[name] for name in (DEPRECATION,) if name in response.headers}
        return JSONResponse(detail.model_dump(mode="json"), 200, headers)
    response.headers["Location"] = location
    return response


def _wish(body: ExecuteIn, at: str, traceparent: str) -> Wish:
    if body.not_before is not None and body.not_before.tzinfo is None:
        text = "must have an offset, such as 2026-11-01T08:00:00+01:00"
        raise Invalid(f"{at}not_before {text}.", fields=(FieldError(f"{at}not_before", text),))
    if body.not_before is not None and not _EARLIEST < body.not_before < _LATEST:
        text = "must be between the years 1970 and 9999"
        raise Invalid(f"{at}not_before {text}.", fields=(FieldError(f"{at}not_before", text),))
    return Wish(body.operation, body.input, at, body.user, body.component, body.not_before, traceparent)


def _detail(hub: Services, caller: Principal, execution_id: Any) -> ExecutionDetail:
    with snapshot(hub.engine) as conn:
        row = find(conn, caller.tenant_id, execution_id)
        return views.execution_detail(row, store.list_attempts(conn, caller.tenant_id, execution_id))


def _optional(kind: Kind, text: str | None, field: str) -> Any:
    return None if text is None else parse_id(kind, text, field=field)


def _integration(text: str) -> Any:
    return parse_id(Kind.INTEGRATION, text, field="path.integration_id")


def _execution(text: str) -> Any:
    return parse_id(Kind.EXECUTION, text, field="path.execution_id")
