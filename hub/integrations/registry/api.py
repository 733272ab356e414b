"""Routes of integrations: their definitions, what was used of their quota, and one call to try them."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from hub.access import audit
from hub.access.principal import Principal
from hub.core.clock import SystemClock
from hub.core.errors import Conflict, Invalid
from hub.core.ids import Kind, format_id, new_uuid
from hub.db.engine import snapshot
from hub.integrations.executions import views as execution_views
from hub.integrations.executions.accepting import REFUSED
from hub.integrations.executions.quota_store import find_usage
from hub.integrations.executions.release_store import release_orphans
from hub.integrations.executions.schemas import TestIn, TestOutcome, Usage
from hub.integrations.grants import revocation
from hub.integrations.pipeline import chain
from hub.integrations.pipeline.call import Context, Stopped
from hub.integrations.pipeline.chain import Made
from hub.integrations.pipeline.gate import NOT_ALLOWED
from hub.integrations.registry import service, store, views
from hub.integrations.registry.changing import Reader, Writer, change, integration_uuid, shown
from hub.integrations.registry.definition import (
    CreateBody,
    Draft,
    UpdateBody,
    check_create,
)
from hub.integrations.registry.kinds import Status, Type
from hub.integrations.registry.policies import Quota
from hub.integrations.registry.schemas import (
    Integration,
    IntegrationCreate,
    IntegrationUpdate,
)
from hub.integrations.services import Workshop
from hub.integrations.target import load_target, secret_ids
from hub.queue.contracts import TaskName
from hub.transforms import acting_for
from hub.web.answers import answer_with_etag
from hub.web.etags import check_version
from hub.web.paging import Page, Paging, page_of
from hub.web.parameters import IfMatch
from hub.web.services import Hub

router = APIRouter(tags=["Integrations"])

_TEST_SECONDS = 30.0


@router.post("/integrations", status_code=201, response_model=Integration)
def create_integration(
    body: CreateBody, caller: Writer, hub: Hub, workshop: Workshop, request: Request
) -> Response:
    """Create an integration. Its secrets are encrypted and never shown again."""
    draft: Draft[IntegrationCreate] = body  # type: ignore[assignment]  # the annotation wraps the model
    with hub.slow.place(caller.tenant_id), acting_for(caller.tenant_id):
        definition = check_create(draft, hub.policy, workshop.sandbox)
    with hub.engine.begin() as conn:
        row = service.create(conn, hub.vault, caller.tenant_id, definition, created_by=caller.key_id)
        made = shown(hub, conn, row)
    location = request.app.url_path_for("read_integration", integration_id=made.id)
    return answer_with_etag(made, 201, {"Location": location})


@router.get("/integrations")
def list_integrations(
    caller: Reader,
    hub: Hub,
    paging: Paging,
    status: Status | None = None,
    type: Type | None = None,  # noqa: A002 - the name of the parameter
    tag: Annotated[list[str] | None, Query(description="Those that have all of these.")] = None,
    search: Annotated[str | None, Query(max_length=128, description="In name or description.")] = None,
) -> Page[Integration]:
    """List integrations, newest first."""
    with hub.engine.connect() as conn:
        rows = store.list_integrations(
            conn,
            caller.tenant_id,
            after=paging.after,
            limit=paging.fetch,
            status=status,
            type_=type,
            tags=tag or (),
            search=search,
        )
        page, cursor = page_of(rows, paging.limit, lambda row: row.id)
        ids = [secret for row in page for secret in secret_ids(row).values()]
        secrets = hub.vault.describe(conn, caller.tenant_id, ids) if ids else {}
    return Page(data=[views.integration(row, secrets) for row in page], next_cursor=cursor)


@router.get("/integrations/{integration_id}", response_model=Integration)
def read_integration(integration_id: str, caller: Reader, hub: Hub) -> Response:
    """Read an integration; its version is the ETag."""
    with snapshot(hub.engine) as conn:
        row = service.get(conn, caller.tenant_id, integration_uuid(integration_id))
        return answer_with_etag(shown(hub, conn, row))


@router.patch("/integrations/{integration_id}", response_model=Integration)
def change_integration(
    integration_id: str,
    body: UpdateBody,
    caller: Writer,
    hub: Hub,
    workshop: Workshop,
    if_match: IfMatch = None,
) -> Response:
    """Change an integration; what is left out stays. With `If-Match` only that version is changed."""
    draft: Draft[IntegrationUpdate] = body  # type: ignore[assignment]  # the annotation wraps the model
    with hub.engine.connect() as conn:
        current = service.get(conn, caller.tenant_id, integration_uuid(integration_id))
    check_version(if_match, current.version)
    return answer_with_etag(change(hub, workshop, caller, current, draft, "integration.changed"))


@router.delete("/integrations/{integration_id}", status_code=204)
def delete_integration(
    integration_id: str, caller: Writer, hub: Hub, workshop: Workshop, if_match: IfMatch = None
) -> None:
    """Delete an integration. Its executions stay readable; those that wait will fail; a token is revoked."""
    with hub.engine.connect() as conn:
        row = service.get(conn, caller.tenant_id, integration_uuid(integration_id))
    check_version(if_match, row.version)
    with hub.slow.place(caller.tenant_id) if revocation.asks(row.auth) else nullcontext():
        with hub.engine.begin() as conn:
            given_back = revocation.detach(conn, hub.vault, caller.tenant_id, row.id)
            # What somebody changes between the two is not what was meant.
            meant = None if if_match is None else row.version
            service.remove(conn, hub.vault, caller.tenant_id, row.id, version=meant, removed_by=caller.key_id)
            released = release_orphans(conn, row.id)
        revocation.revoke(workshop.tools.session, SystemClock(), given_back)
    if released:
        hub.ring(TaskName.EXECUTIONS_RUN)


@router.get("/integrations/{integration_id}/usage")
def read_usage(integration_id: str, caller: Reader, hub: Hub) -> Usage:
    """What was used of an integration's quota today and this month (UTC)."""
    day = datetime.now(UTC).date()
    month = day.replace(day=1)
    with hub.engine.connect() as conn:
        row = service.get(conn, caller.tenant_id, integration_uuid(integration_id))
        used = find_usage(conn, row.id, day, month)
    return execution_views.usage(Quota.model_validate(row.quota), used, day, month)


@router.post("/integrations/{integration_id}/test")
def test_integration(
    integration_id: str,
    caller: Writer,
    hub: Hub,
    workshop: Workshop,
    body: TestIn | None = None,  # noqa: PT028 - no test, a route
) -> TestOutcome:
    """Make one real call now, whatever the status of the integration, and show what came.

    It is no execution: of the call the audit log alone tells, and not what was sent or came.
    """
    asked = body or TestIn()
    with snapshot(hub.engine) as conn:
        row = service.get(conn, caller.tenant_id, integration_uuid(integration_id))
        pairs = [(row.tenant_id, secret) for secret in secret_ids(row).values()]
        loaded = load_target(row, hub.vault.get_many(conn, pairs))
    if loaded is None:
        raise Conflict("The integration cannot be called here: what it needs is not installed.")
    target = replace(loaded, hold=None)
    context = Context(new_uuid(), caller=caller.key_id, max_seconds=_TEST_SECONDS, fresh=True)
    with hub.slow.place(caller.tenant_id):
        if asked.operation is None:
            made = chain.probe(target, context, workshop.tools)
        else:
            made = chain.run(target, asked.operation, asked.input, context, workshop.tools)
    _note_test(hub, caller, row.id, asked.operation, made)
    if isinstance(made, Stopped):
        if made.fields:
            raise Invalid(made.message, fields=made.fields)
        raise Conflict(made.message)
    return execution_views.test_outcome(made)


def _note_test(
    hub: Hub, caller: Principal, integration_id: UUID, operation: str | None, made: Made | Stopped
) -> None:
    """Tell the audit log of a real call, or of one that was refused."""
    details: dict[str, Any] = {"operation": operation}
    if isinstance(made, Made):
        action = "integration.tested"
        details |= {"ok": made.outcome.ok, "status": made.outcome.status}
    elif made.reason == NOT_ALLOWED:
        action = REFUSED
        details = {"source": "test", "operations": [operation], "why": made.message}
    else:
        return
    subject = format_id(Kind.INTEGRATION, integration_id)
    with hub.engine.begin() as conn:
        audit.note(conn, caller.tenant_id, caller.key_id, action, subject, details)
