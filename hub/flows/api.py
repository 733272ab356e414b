"""Routes of flows."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from hub.access import audit
from hub.access.principal import Principal
from hub.access.store import bump_config_version
from hub.core.errors import Conflict, FieldError, Invalid
from hub.core.ids import Kind, format_id, new_uuid, parse_id
from hub.flows import store, trying
from hub.flows.announcing import Announcer
from hub.flows.checking import check
from hub.flows.republishing import load_ends, republish, rules_of
from hub.flows.schemas import (
    Flow,
    FlowIn,
    FlowPublished,
    FlowPublishIn,
    FlowTest,
    FlowTestIn,
    FlowUpdate,
)
from hub.integrations.executions.accepting import Caller, Refused, check_access, note_refusal
from hub.integrations.services import Bench, Workshop
from hub.integrations.target import Target
from hub.transforms import acting_for
from hub.web.answers import answer_with_etag
from hub.web.auth import requires
from hub.web.etags import check_version
from hub.web.paging import Page, Paging, page_of
from hub.web.parameters import IfMatch
from hub.web.services import Hub, Services

router = APIRouter(tags=["Flows"])

#: Of one tenant: each event is held against all of them.
MAX_FLOWS = 500
#: What may be changed without the right to use the integration.
_HARMLESS = {"name", "description", "paused"}

Reader = Annotated[Principal, requires("integrations:read")]
Writer = Annotated[Principal, requires("integrations:write")]


@router.post("/flows", status_code=201, response_model=Flow)
def create_flow(body: FlowIn, caller: Writer, hub: Hub, workshop: Workshop, request: Request) -> Response:
    """Let events start an operation. Each event starts it once; the execution carries the event and its trace.

    It acts for the key that made it: one that the integration's access rules do not name starts nothing, and the audit
    log tells.
    """
    values = body.model_dump()
    with hub.slow.place(caller.tenant_id), acting_for(caller.tenant_id):
        check(values, workshop.sandbox)
    with hub.engine.begin() as conn:
        values["integration_id"] = _target(
            conn, hub, workshop, caller, values.pop("integration"), body.operation
        )
        # First, so that nobody else counts before the commit.
        bump_config_version(conn, caller.tenant_id)
        if store.count_flows(conn, caller.tenant_id) >= MAX_FLOWS:
            raise Conflict(f"The tenant has {MAX_FLOWS} flows, and may have no more: delete one first.")
        row = store.insert_flow(
            conn,
            {**values, "id": new_uuid(), "tenant_id": caller.tenant_id, "created_by": caller.key_id},
        )
        audit.note(conn, caller.tenant_id, caller.key_id, "flow.created", _public(row), {"name": row.name})
    shown = _view(row)
    location = request.app.url_path_for("read_flow", flow_id=shown.id)
    return answer_with_etag(shown, 201, {"Location": location})


@router.get("/flows")
def list_flows(
    caller: Reader,
    hub: Hub,
    paging: Paging,
    integration: Annotated[str | None, Query(description="Only those of this integration.")] = None,
) -> Page[Flow]:
    """List flows, newest first."""
    chosen = (
        None if integration is None else parse_id(Kind.INTEGRATION, integration, field="query.integration")
    )
    with hub.engine.connect() as conn:
        rows = store.list_flows(
            conn, caller.tenant_id, after=paging.after, limit=paging.fetch, integration_id=chosen
        )
    page, cursor = page_of(rows, paging.limit, lambda row: row.id)
    return Page(data=[_view(row) for row in page], next_cursor=cursor)


@router.get("/flows/{flow_id}", response_model=Flow)
def read_flow(flow_id: str, caller: Reader, hub: Hub) -> Response:
    """Read a flow. What it started: `GET /v1/executions?flow=…`."""
    with hub.engine.connect() as conn:
        return answer_with_etag(_view(_find(conn, caller, flow_id)))


@router.patch("/flows/{flow_id}", response_model=Flow)
def change_flow(
    flow_id: str, body: FlowUpdate, caller: Writer, hub: Hub, workshop: Workshop, if_match: IfMatch = None
) -> Response:
    """Change a flow, pause or resume it; what is left out stays. While it is paused, events pass it by."""
    # Of what is there, the whole: a rule without its defaults would be no rule.
    changes = body.model_dump(include=body.model_fields_set)
    with hub.slow.place(caller.tenant_id), acting_for(caller.tenant_id):
        check(changes, workshop.sandbox)
    with hub.engine.begin() as conn:
        row = _find(conn, caller, flow_id)
        check_version(if_match, row.version)
        if changes.keys() - _HARMLESS:
            # Who changes what is sent acts as its maker would: that takes the same right.
            of = changes.pop("integration", None)
            operation = changes.get("operation", row.operation)
            present = format_id(Kind.INTEGRATION, row.integration_id)
            target = _target(conn, hub, workshop, caller, of or present, operation)
            if of is not None:
                changes["integration_id"] = target
        changed = store.update_flow(conn, caller.tenant_id, row.id, row.version, changes)
        if changed is None:
            raise Conflict("The flow was changed meanwhile. Read it again, then repeat your change.")
        bump_config_version(conn, caller.tenant_id)
        details = {"changed": sorted(changes)}
        audit.note(conn, caller.tenant_id, caller.key_id, "flow.changed", _public(row), details)
    return answer_with_etag(_view(changed))


@router.delete("/flows/{flow_id}", status_code=204)
def delete_flow(flow_id: str, caller: Writer, hub: Hub) -> None:
    """Delete a flow; what it started goes on."""
    with hub.engine.begin() as conn:
        row = _find(conn, caller, flow_id)
        store.delete_flow(conn, caller.tenant_id, row.id)
        bump_config_version(conn, caller.tenant_id)
        audit.note(conn, caller.tenant_id, caller.key_id, "flow.deleted", _public(row), {"name": row.name})


@router.post("/flows/{flow_id}/test")
def test_flow(flow_id: str, body: FlowTestIn, caller: Writer, hub: Hub, workshop: Workshop) -> FlowTest:
    """What a sample event would start, and send. Nothing is written and nobody is called."""
    with hub.engine.connect() as conn:
        row = _find(conn, caller, flow_id)
        target = workshop.doors.target(conn, caller.tenant_id, row.integration_id)
        roles = store.roles_of_maker(conn, row.created_by)
    with hub.slow.place(caller.tenant_id):
        return trying.try_flow(row, target, body, workshop.tools, roles=roles)


@router.post("/flows/{flow_id}/publish")
def publish_flow(
    flow_id: str, body: FlowPublishIn, caller: Writer, hub: Hub, workshop: Workshop
) -> FlowPublished:
    """Publish once more what the flow makes of executions that have ended, by its present rules. Nobody is called.

    For events that could not be made then (`flow.publish_failed` in the audit log), and for rules that were mended or
    added since. Each request publishes new events: what was published before is published again.
    """
    wanted = [
        parse_id(Kind.EXECUTION, one, field=f"executions.{at}") for at, one in enumerate(body.executions)
    ]
    with hub.engine.connect() as conn:
        row = _find(conn, caller, flow_id)
    publishing = rules_of(row, body.event_type)
    ends = load_ends(hub.engine, caller.tenant_id, row.id, wanted)
    with hub.engine.connect() as conn:
        # What is published shows what an integration answered, which the flow may have left since: that takes the right
        # to use it.
        for used, operation in {(one.job.integration_id, one.job.operation) for one in ends}:
            _permitted(conn, hub, workshop, caller, used, operation)
    announcer = Announcer(workshop.sandbox, hub.ring)
    with hub.slow.place(caller.tenant_id):
        return FlowPublished(data=republish(hub.engine, announcer, caller, row, publishing, ends))


def _target(
    conn: Any, hub: Services, workshop: Bench, principal: Principal, integration: str, operation: str
) -> Any:
    """The id of an integration that the caller may use for this operation."""
    wanted = parse_id(Kind.INTEGRATION, integration, field="integration")
    target = _permitted(conn, hub, workshop, principal, wanted, operation)
    text = None
    if operation not in target.operations and operation != target.transport.free_operation:
        text = (
            f"the integration has no such operation; it has {', '.join(sorted(target.operations)) or 'none'}"
        )
    elif not target.allows(operation):
        text = "the integration does not allow this operation"
    if text is not None:
        raise Invalid(f"operation: {text}.", fields=(FieldError("operation", text),))
    return wanted


def _permitted(
    conn: Any, hub: Services, workshop: Bench, principal: Principal, integration_id: Any, operation: str
) -> Target:
    """An integration whose access rules take the caller; a refusal is noted."""
    target = workshop.doors.target(conn, principal.tenant_id, integration_id)
    caller = Caller(principal.key_id, principal.roles)
    try:
        check_access(target.access, caller, None)
    except Refused as error:
        with hub.engine.begin() as noting:
            note_refusal(
                noting,
                principal.tenant_id,
                caller,
                integration_id,
                error,
                source="flow",
                operations=[operation],
            )
        raise
    return target


def _find(conn: Any, caller: Principal, flow_id: str) -> Any:
    return store.get_flow(conn, caller.tenant_id, parse_id(Kind.FLOW, flow_id, field="path.flow_id"))


def _view(row: Any) -> Flow:
    return Flow(
        id=_public(row),
        name=row.name,
        description=row.description,
        event_types=row.event_types,
        labels=row.labels,
        filter=row.filter,
        integration=format_id(Kind.INTEGRATION, row.integration_id),
        operation=row.operation,
        mapping=row.mapping,
        publish=row.publish,
        paused=row.paused,
        version=row.version,
        created_by=None if row.created_by is None else format_id(Kind.API_KEY, row.created_by),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _public(row: Any) -> str:
    return format_id(Kind.FLOW, row.id)
