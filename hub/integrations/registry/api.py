"""Routes of integrations: definitions, their versions, and what can be tried with them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from hub.access.principal import Principal
from hub.core.clock import SystemClock
from hub.core.errors import Conflict, Invalid, NotFound
from hub.core.ids import Kind, new_uuid, parse_id
from hub.integrations.auth.registry import MODES
from hub.integrations.executions import views as execution_views
from hub.integrations.executions.quota_store import find_usage
from hub.integrations.executions.schemas import TestIn, TestOutcome, Usage
from hub.integrations.executions.store import release_held, release_needing_reauth
from hub.integrations.forms import Form
from hub.integrations.grants import revocation
from hub.integrations.pipeline import chain
from hub.integrations.pipeline.call import Context, Stopped
from hub.integrations.registry import applying, service, store, views
from hub.integrations.registry.definition import (
    CreateBody,
    Draft,
    Stored,
    UpdateBody,
    check_create,
    check_update,
    draft_update,
)
from hub.integrations.registry.documents import FIXED, differences, document_of
from hub.integrations.registry.kinds import SPOKEN, Status, Type
from hub.integrations.registry.schemas import (
    Change,
    Difference,
    Integration,
    IntegrationCreate,
    IntegrationUpdate,
    IntegrationVersion,
    IntegrationVersionDetail,
    Quota,
    RollbackIn,
)
from hub.integrations.services import Workshop
from hub.integrations.target import load_target, secret_ids
from hub.integrations.transports import registry as transports
from hub.queue.contracts import TaskName
from hub.transforms import acting_for
from hub.web.auth import requires
from hub.web.etags import check_version, etag_of
from hub.web.paging import Page, Paging, page_of
from hub.web.parameters import IfMatch
from hub.web.services import Hub, Services

router = APIRouter(tags=["Integrations"])

Reader = Annotated[Principal, requires("integrations:read")]
Writer = Annotated[Principal, requires("integrations:write")]

_TEST_SECONDS = 30.0
_MAX_VERSION = 2**31 - 1
VersionNumber = Annotated[int, Path(ge=1, le=_MAX_VERSION)]


class ApplyIn(Form):
    """Definitions as they are to be; those that are not named stay as they are."""

    integrations: list[dict[str, Any]] = Field(min_length=1, max_length=applying.MAX_DOCUMENTS)


class Applied(Form):
    """What became of one definition."""

    name: str
    action: Literal["create", "update", "none"]
    changes: list[Change]
    secrets: list[str] = Field(description="Names of the secrets that were written.")


class AppliedAll(Form):
    """One entry for each definition, in order."""

    dry_run: bool
    data: list[Applied]


class TransportKind(Form):
    """One transport: what its definitions are made of, as JSON Schemas."""

    name: str
    schemes: dict[str, int] = Field(description="Of `base_url`, with the port that each means.")
    auth_modes: list[str]
    free_operation: str | None
    settings: dict[str, Any]
    operation: dict[str, Any]


class Kinds(Form):
    """What an integration can be made of, here."""

    types: dict[str, list[str]] = Field(description="The protocols of each type, the usual one first.")
    transports: list[TransportKind]
    definition: dict[str, Any] = Field(description="The JSON Schema of a request that creates one.")
    auth_modes: dict[str, dict[str, Any]] = Field(description="The JSON Schema of `auth`, by mode.")


@router.get("/integration-kinds")
def list_kinds(_caller: Reader) -> Kinds:
    """Types, protocols, transports and authentication modes, with the form of each."""
    found = {**transports.built_in(), **transports.custom()}
    return Kinds(
        types={name: list(protocols) for name, protocols in SPOKEN.items()},
        transports=[
            TransportKind(
                name=name,
                schemes=dict(one.schemes),
                auth_modes=sorted(one.auth_modes),
                free_operation=one.free_operation,
                settings=one.settings_form.model_json_schema(),
                operation=one.operation_form.model_json_schema(),
            )
            for name, one in found.items()
        ],
        definition=IntegrationCreate.model_json_schema(),
        auth_modes={name: mode.form.model_json_schema() for name, mode in MODES.items()},
    )


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
        shown = _shown(hub, conn, row)
    location = request.app.url_path_for("read_integration", integration_id=shown.id)
    return _with_etag(shown, 201, {"Location": location})


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


@router.post("/integrations/apply")
def apply_integrations(
    body: ApplyIn,
    caller: Writer,
    hub: Hub,
    workshop: Workshop,
    dry_run: Annotated[bool, Query(description="Only tell what would change.")] = False,  # noqa: FBT002
) -> AppliedAll:
    """Make definitions as they are declared: all of them or none. Applying the same again changes nothing."""
    with hub.slow.place(caller.tenant_id), acting_for(caller.tenant_id):
        steps = applying.plan(
            hub.engine, hub.vault, hub.policy, workshop.sandbox, caller.tenant_id, body.integrations
        )
    if not dry_run:
        with hub.engine.begin() as conn:
            resumed = applying.apply(conn, hub.vault, caller.tenant_id, steps, by=caller.key_id)
            if resumed:
                for step in steps:
                    if step.current is not None:
                        release_held(conn, step.current.id)
        if resumed:
            hub.ring(TaskName.EXECUTIONS_RUN)
    data = [
        Applied(name=s.name, action=s.action, changes=[Change(**one) for one in s.changes], secrets=s.secrets)
        for s in steps
    ]
    return AppliedAll(dry_run=dry_run, data=data)


@router.get("/integrations/{integration_id}", response_model=Integration)
def read_integration(integration_id: str, caller: Reader, hub: Hub) -> Response:
    """Read an integration; its version is the ETag."""
    with hub.engine.connect() as conn:
        row = service.get(conn, caller.tenant_id, _integration(integration_id))
        shown = _shown(hub, conn, row)
    return _with_etag(shown, 200, {})


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
        current = service.get(conn, caller.tenant_id, _integration(integration_id))
    check_version(if_match, current.version)
    return _change(hub, workshop, caller, current, draft, "integration.changed")


@router.delete("/integrations/{integration_id}", status_code=204)
def delete_integration(
    integration_id: str, caller: Writer, hub: Hub, workshop: Workshop, if_match: IfMatch = None
) -> None:
    """Delete an integration. Its executions stay readable; those that wait will fail; a token is revoked."""
    with hub.engine.connect() as conn:
        row = service.get(conn, caller.tenant_id, _integration(integration_id))
    check_version(if_match, row.version)
    with hub.engine.begin() as conn:
        given_back = revocation.detach(conn, hub.vault, caller.tenant_id, row.id)
        # What somebody changes between the two is not what was meant.
        meant = None if if_match is None else row.version
        service.remove(conn, hub.vault, caller.tenant_id, row.id, version=meant, removed_by=caller.key_id)
        released = release_held(conn, row.id)
    revocation.revoke(workshop.tools.session, SystemClock(), given_back)
    if released:
        hub.ring(TaskName.EXECUTIONS_RUN)


@router.get("/integrations/{integration_id}/versions")
def list_versions(
    integration_id: str,
    caller: Reader,
    hub: Hub,
    before: Annotated[
        int | None, Query(ge=1, le=_MAX_VERSION, description="Only versions below this one.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> list[IntegrationVersion]:
    """List the versions of an integration, newest first."""
    with hub.engine.connect() as conn:
        row = service.get(conn, caller.tenant_id, _integration(integration_id))
        rows = store.list_versions(conn, caller.tenant_id, row.id, before=before, limit=limit)
    return [views.version(one) for one in rows]


@router.get("/integrations/{integration_id}/versions/{version}")
def read_version(
    integration_id: str, version: VersionNumber, caller: Reader, hub: Hub
) -> IntegrationVersionDetail:
    """Read one version's document; it has the form of a request that creates the integration."""
    with hub.engine.connect() as conn:
        return views.version_detail(_version(conn, caller, integration_id, version))


@router.get("/integrations/{integration_id}/versions/{version}/diff")
def compare_versions(
    integration_id: str,
    version: VersionNumber,
    caller: Reader,
    hub: Hub,
    to: Annotated[int | None, Query(ge=1, le=_MAX_VERSION, description="Unset: the present one.")] = None,
) -> Difference:
    """What changed from one version to another."""
    with hub.engine.connect() as conn:
        before = _version(conn, caller, integration_id, version)
        if to is None:
            to = service.get(conn, caller.tenant_id, before.integration_id).version
        after = _version(conn, caller, integration_id, to)
    changes = [Change(**one) for one in differences(before.document, after.document)]
    return Difference(from_version=version, to_version=to, changes=changes)


@router.post("/integrations/{integration_id}/versions/{version}/rollback", response_model=Integration)
def roll_back(
    integration_id: str,
    version: VersionNumber,
    caller: Writer,
    hub: Hub,
    workshop: Workshop,
    body: RollbackIn | None = None,
    if_match: IfMatch = None,
) -> Response:
    """Make an old version the present one, as a new version. Secrets stay those of today where they still fit."""
    with hub.engine.connect() as conn:
        current = service.get(conn, caller.tenant_id, _integration(integration_id))
        wanted = _version(conn, caller, integration_id, version)
    check_version(if_match, current.version)
    document = {name: value for name, value in wanted.document.items() if name not in FIXED}
    for name, given in (body or RollbackIn()).model_dump().items():
        if given:
            document[name] = {**(document[name] or {}), **given}
    if not differences({**document_of(current), **document}, document_of(current)):
        raise Conflict(f"Version {version} says the same as the present one.")
    return _change(hub, workshop, caller, current, draft_update(document), "integration.rolled_back")


@router.get("/integrations/{integration_id}/usage")
def read_usage(integration_id: str, caller: Reader, hub: Hub) -> Usage:
    """What was used of an integration's quota today and this month (UTC)."""
    day = datetime.now(UTC).date()
    month = day.replace(day=1)
    with hub.engine.connect() as conn:
        row = service.get(conn, caller.tenant_id, _integration(integration_id))
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
    """Make one real call now, whatever the status of the integration, and show what came. Nothing is recorded."""
    asked = body or TestIn()
    with hub.engine.connect() as conn:
        row = service.get(conn, caller.tenant_id, _integration(integration_id))
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
    if isinstance(made, Stopped):
        if made.fields:
            raise Invalid(made.message, fields=made.fields)
        raise Conflict(made.message)
    return execution_views.test_outcome(made)


def _change(
    hub: Services,
    workshop: Any,
    caller: Principal,
    current: Any,
    draft: Draft[IntegrationUpdate],
    action: str,
) -> Response:
    stored = Stored(document_of(current), secret_ids(current))
    with hub.slow.place(caller.tenant_id), acting_for(caller.tenant_id):
        definition = check_update(draft, hub.policy, stored, workshop.sandbox)
    with hub.engine.begin() as conn:
        row = service.change(conn, hub.vault, current, definition, changed_by=caller.key_id, action=action)
        resumed = service.resumes(current, row) and bool(release_held(conn, row.id))
        if "auth" in definition.columns or definition.secrets:
            # With other credentials it may work; the next call finds out.
            resumed = bool(release_needing_reauth(conn, [row.id])) or resumed
        shown = _shown(hub, conn, row)
    if resumed:
        hub.ring(TaskName.EXECUTIONS_RUN)
    return _with_etag(shown, 200, {})


def _version(conn: Any, caller: Principal, integration_id: str, version: int) -> Any:
    row = store.find_version(conn, caller.tenant_id, _integration(integration_id), version)
    if row is None:
        service.get(conn, caller.tenant_id, _integration(integration_id))
        raise NotFound(f"The integration has no version {version}.")
    return row


def _shown(hub: Services, conn: Any, row: Any) -> Integration:
    return views.integration(row, hub.vault.describe(conn, row.tenant_id, list(secret_ids(row).values())))


def _with_etag(shown: Integration, status: int, headers: dict[str, str]) -> Response:
    return JSONResponse(shown.model_dump(mode="json"), status, {"ETag": etag_of(shown.version), **headers})


def _integration(text: str) -> Any:
    return parse_id(Kind.INTEGRATION, text, field="path.integration_id")
