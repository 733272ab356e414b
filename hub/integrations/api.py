"""Routes of integrations and executions."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from hub.access.principal import Principal
from hub.core.errors import Conflict, NotFound
from hub.core.ids import Kind, format_id, parse_id
from hub.db.states import State
from hub.integrations import executions, pipeline, registry, store, views
from hub.integrations import request as requests_
from hub.integrations.definition import CreateBody, Draft, UpdateBody, check_create, check_update
from hub.integrations.directory import Target, load_target, secret_ids
from hub.integrations.executions import Wish
from hub.integrations.schemas import (
    Accepted,
    AcceptedBatch,
    ExecuteBatchIn,
    ExecuteIn,
    Execution,
    ExecutionDetail,
    Integration,
    IntegrationCreate,
    IntegrationUpdate,
    Status,
    TestIn,
    TestOutcome,
)
from hub.integrations.waiting import Waiters, preferred_wait
from hub.net.outcome import ErrorClass
from hub.net.session import GuardedSession
from hub.queue.contracts import TaskName
from hub.web.auth import requires
from hub.web.bodies import RawBody
from hub.web.etags import IfMatch, check_version, etag_of
from hub.web.idempotency import run_idempotent
from hub.web.paging import Page, Paging, page_of
from hub.web.services import Hub, Services

log = logging.getLogger(__name__)
router = APIRouter()

Reader = Annotated[Principal, requires("integrations:read")]
Writer = Annotated[Principal, requires("integrations:write")]
ExecutionReader = Annotated[Principal, requires("executions:read")]
ExecutionWriter = Annotated[Principal, requires("executions:write")]
IdempotencyKey = Annotated[
    str | None,
    Header(alias="Idempotency-Key", description="The same request with the same key is done once."),
]
Prefer = Annotated[
    str | None,
    Header(description="`wait=10`: answer with the result if it is there within so many seconds (≤ 60)."),
]

_TEST_SECONDS = 30.0


def _session(request: Request, hub: Hub) -> GuardedSession:
    """The way out for tests; one for the application."""
    state = request.app.state
    if not hasattr(state, "integration_session"):
        state.integration_session = GuardedSession(hub.policy)
    found: GuardedSession = state.integration_session
    return found


def _waiters(request: Request, hub: Hub) -> Waiters:
    """Those who wait for executions; one poller for the application."""
    state = request.app.state
    if not hasattr(state, "execution_waiters"):
        state.execution_waiters = Waiters(hub.engine)
    found: Waiters = state.execution_waiters
    return found


# -- integrations -----------------------------------------------------------------------------------------------------


@router.post("/integrations", status_code=201, response_model=Integration, tags=["Integrations"])
def create_integration(body: CreateBody, caller: Writer, hub: Hub, request: Request) -> Response:
    """Create an integration. Its secrets are encrypted and never shown again."""
    draft: Draft[IntegrationCreate] = body  # type: ignore[assignment]  # the annotation wraps the model
    definition = check_create(draft, hub.policy)
    with hub.engine.begin() as conn:
        row = registry.create(conn, hub.vault, caller.tenant_id, definition, created_by=caller.key_id)
        shown = views.integration(
            row, hub.vault.describe(conn, caller.tenant_id, list(secret_ids(row).values()))
        )
    location = request.app.url_path_for("read_integration", integration_id=shown.id)
    return _with_etag(shown, 201, {"Location": location})


@router.get("/integrations", tags=["Integrations"])
def list_integrations(
    caller: Reader, hub: Hub, paging: Paging, status: Status | None = None
) -> Page[Integration]:
    """List integrations, newest first."""
    with hub.engine.connect() as conn:
        rows = store.list_integrations(
            conn, caller.tenant_id, after=paging.after, limit=paging.fetch, status=status
        )
        page, cursor = page_of(rows, paging.limit, lambda row: row.id)
        ids = [secret for row in page for secret in secret_ids(row).values()]
        secrets = hub.vault.describe(conn, caller.tenant_id, ids) if ids else {}
    return Page(data=[views.integration(row, secrets) for row in page], next_cursor=cursor)


@router.get("/integrations/{integration_id}", response_model=Integration, tags=["Integrations"])
def read_integration(integration_id: str, caller: Reader, hub: Hub) -> Response:
    """Read an integration; its version is the ETag."""
    with hub.engine.connect() as conn:
        row = registry.get(conn, caller.tenant_id, _integration(integration_id))
        shown = views.integration(
            row, hub.vault.describe(conn, caller.tenant_id, list(secret_ids(row).values()))
        )
    return _with_etag(shown, 200, {})


@router.patch("/integrations/{integration_id}", response_model=Integration, tags=["Integrations"])
def change_integration(
    integration_id: str, body: UpdateBody, caller: Writer, hub: Hub, if_match: IfMatch = None
) -> Response:
    """Change an integration; what is left out stays. With `If-Match` only that version is changed."""
    draft: Draft[IntegrationUpdate] = body  # type: ignore[assignment]  # the annotation wraps the model
    with hub.engine.connect() as conn:
        current = registry.get(conn, caller.tenant_id, _integration(integration_id))
    check_version(if_match, current.version)
    definition = check_update(draft, hub.policy, current.auth["mode"])
    with hub.engine.begin() as conn:
        row, resumed = registry.change(conn, hub.vault, current, definition)
        shown = views.integration(
            row, hub.vault.describe(conn, caller.tenant_id, list(secret_ids(row).values()))
        )
    if resumed:
        hub.ring(TaskName.EXECUTIONS_RUN)
    return _with_etag(shown, 200, {})


@router.delete("/integrations/{integration_id}", status_code=204, tags=["Integrations"])
def delete_integration(integration_id: str, caller: Writer, hub: Hub, if_match: IfMatch = None) -> None:
    """Delete an integration. Its executions stay readable; those that wait will fail."""
    with hub.engine.begin() as conn:
        row = registry.get(conn, caller.tenant_id, _integration(integration_id))
        check_version(if_match, row.version)
        # What somebody changes between the two is not what was meant.
        meant = None if if_match is None else row.version
        released = registry.remove(conn, hub.vault, caller.tenant_id, row.id, version=meant)
    if released:
        hub.ring(TaskName.EXECUTIONS_RUN)


@router.post("/integrations/{integration_id}/test", tags=["Integrations"])
def test_integration(
    integration_id: str,
    caller: Writer,
    hub: Hub,
    session: Annotated[GuardedSession, Depends(_session)],
    body: TestIn | None = None,  # noqa: PT028 - no test, a route
) -> TestOutcome:
    """Make one real call now, whatever the status of the integration, and show what came. Nothing is recorded."""
    asked = body or TestIn()
    with hub.engine.connect() as conn:
        row = registry.get(conn, caller.tenant_id, _integration(integration_id))
        pairs = [(row.tenant_id, secret) for secret in secret_ids(row).values()]
        target = replace(load_target(row, hub.vault.get_many(conn, pairs)), hold=None)
    made = pipeline.prepare(target, *_test_call(target, asked), repeated=False)
    if isinstance(made, pipeline.Stopped):
        if made.reason == "invalid_input":
            # Built once more for its field-level faults.
            requests_.build(target.base_url, target.headers, target.operations, *_test_call(target, asked))
        raise Conflict(made.message)
    outcome = pipeline.call(session, target, made, min(target.timeout, _TEST_SECONDS))
    if asked.operation is None and outcome.status is not None and target.health_check is not None:
        expected = target.health_check["expected_statuses"]
        if (
            expected
            and outcome.status in expected
            and outcome.error_class in {ErrorClass.HTTP_4XX, ErrorClass.HTTP_5XX}
        ):
            outcome.error_class, outcome.message = None, ""
    return views.test_outcome(outcome)


# -- executions -------------------------------------------------------------------------------------------------------


@router.post(
    "/integrations/{integration_id}/execute",
    status_code=202,
    response_model=Accepted,
    responses={200: {"model": ExecutionDetail, "description": "It finished within the wait."}},
    tags=["Executions"],
)
async def execute(
    integration_id: str,
    body: ExecuteIn,
    raw: RawBody,
    caller: ExecutionWriter,
    hub: Hub,
    request: Request,
    waiters: Annotated[Waiters, Depends(_waiters)],
    prefer: Prefer = None,
    _key: IdempotencyKey = None,
) -> Response:
    """Execute an operation: stored and accepted, or, with `Prefer: wait=10`, answered with its result."""
    wishes = [Wish(body.operation, body.input)]
    response, (public_id,) = await run_in_threadpool(
        _accept, hub, caller, request, f"{integration_id}/execute", integration_id, raw, wishes
    )
    execution_id = parse_id(Kind.EXECUTION, public_id)
    location = request.app.url_path_for("read_execution", execution_id=public_id)
    seconds = preferred_wait(prefer)
    if seconds is not None and await waiters.wait(execution_id, seconds):
        try:
            detail = await run_in_threadpool(_detail, hub, caller, execution_id)
        except SQLAlchemyError as error:
            # It is accepted: a 503 here would say that it is not.
            log.warning("The result of an execution could not be read (%s).", type(error).__name__)
            response.headers["Location"] = location
            return response
        headers = {"Location": location, "Preference-Applied": f"wait={int(seconds)}"}
        return JSONResponse(detail.model_dump(mode="json"), 200, headers)
    response.headers["Location"] = location
    return response


@router.post(
    "/integrations/{integration_id}/execute-batch",
    status_code=202,
    response_model=AcceptedBatch,
    tags=["Executions"],
)
def execute_batch(
    integration_id: str,
    body: ExecuteBatchIn,
    raw: RawBody,
    caller: ExecutionWriter,
    hub: Hub,
    request: Request,
    _key: IdempotencyKey = None,
) -> Response:
    """Execute up to 1,000 operations: all are accepted, or none and every fault is named."""
    wishes = [Wish(item.operation, item.input, f"items.{index}.") for index, item in enumerate(body.items)]
    response, _ = _accept(
        hub, caller, request, f"{integration_id}/execute-batch", integration_id, raw, wishes
    )
    return response


@router.get("/executions", tags=["Executions"])
def list_executions(
    caller: ExecutionReader,
    hub: Hub,
    paging: Paging,
    integration: Annotated[str | None, Query(description="Only those of this integration.")] = None,
    state: Annotated[State | None, Query(description="Only those in this state.")] = None,
) -> Page[Execution]:
    """List executions, newest first."""
    chosen = (
        None if integration is None else parse_id(Kind.INTEGRATION, integration, field="query.integration")
    )
    with hub.engine.connect() as conn:
        rows = store.list_executions(
            conn,
            caller.tenant_id,
            after=paging.after,
            limit=paging.fetch,
            integration_id=chosen,
            state=None if state is None else state.value,
        )
    page, cursor = page_of(rows, paging.limit, lambda row: row.id)
    return Page(data=[views.execution(row) for row in page], next_cursor=cursor)


@router.get("/executions/{execution_id}", tags=["Executions"])
def read_execution(execution_id: str, caller: ExecutionReader, hub: Hub) -> ExecutionDetail:
    """Read an execution with its result and every attempt."""
    return _detail(hub, caller, _execution(execution_id))


@router.post("/executions/{execution_id}/cancel", tags=["Executions"])
def cancel_execution(execution_id: str, caller: ExecutionWriter, hub: Hub) -> ExecutionDetail:
    """Cancel an execution that is not finished. A call under way is not cut off; its result is dropped."""
    wanted = _execution(execution_id)
    with hub.engine.begin() as conn:
        cancelled = executions.cancel(conn, caller.tenant_id, wanted)
    detail = _detail(hub, caller, wanted)
    if not cancelled:
        raise Conflict(f"The execution is {detail.state} already.")
    return detail


def _accept(
    hub: Services,
    caller: Principal,
    request: Request,
    scope: str,
    integration_id: str,
    raw: bytes,
    wishes: list[Wish],
) -> tuple[Response, list[str]]:
    """Commit, then ring; the response and the public ids, also of a replay."""
    wanted = _integration(integration_id)
    fresh: list[str] = []

    def work(conn: Any) -> tuple[int, dict[str, Any], Any]:
        ids = executions.accept(conn, caller.tenant_id, wanted, wishes, source="http")
        fresh.extend(format_id(Kind.EXECUTION, one) for one in ids)
        entries = [{"id": one, "state": State.DUE.value} for one in fresh]
        return 202, {"data": entries} if scope.endswith("batch") else entries[0], ids[0]

    response = run_idempotent(hub, caller, request.headers, f"integrations/{scope}", raw, work)
    if fresh:
        hub.ring(TaskName.EXECUTIONS_RUN, fresh)
        return response, fresh
    answer = json.loads(bytes(response.body))
    return response, [entry["id"] for entry in answer.get("data", [answer])]


def _detail(hub: Services, caller: Principal, execution_id: Any) -> ExecutionDetail:
    with hub.engine.connect() as conn:
        row = store.find_execution(conn, caller.tenant_id, execution_id)
        if row is None:
            raise NotFound(f"There is no execution {format_id(Kind.EXECUTION, execution_id)}.")
        return views.execution_detail(row, store.list_attempts(conn, caller.tenant_id, execution_id))


def _test_call(target: Target, asked: TestIn) -> tuple[str, dict[str, Any]]:
    """Operation and input of a test: those asked for, the health check, or a GET of the base address."""
    if asked.operation is not None:
        return asked.operation, asked.input
    check = target.health_check or {"method": "GET", "path": "/"}
    return requests_.FREE_OPERATION, {"method": check["method"], "path": check["path"], **asked.input}


def _with_etag(shown: Integration, status: int, headers: dict[str, str]) -> Response:
    return JSONResponse(shown.model_dump(mode="json"), status, {"ETag": etag_of(shown.version), **headers})


def _integration(text: str) -> Any:
    return parse_id(Kind.INTEGRATION, text, field="path.integration_id")


def _execution(text: str) -> Any:
    return parse_id(Kind.EXECUTION, text, field="path.execution_id")
