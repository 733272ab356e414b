"""Routes of event types: the catalogue of what a tenant publishes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy import Row

from hub.access.principal import Principal
from hub.core.errors import Conflict, FieldError
from hub.core.ids import Kind, format_id
from hub.db.engine import snapshot
from hub.json_schema import compile_schema
from hub.web.auth import requires
from hub.web.paging import Page, Paging, page_of
from hub.web.services import Hub
from hub.webhooks.catalogue import event_types, importing, schemas, store

router = APIRouter(tags=["Event types"])

Reader = Annotated[Principal, requires("event_types:read")]
Writer = Annotated[Principal, requires("event_types:write")]


@router.post("/event-types", status_code=201, summary="Create an event type")
def create_event_type(body: schemas.EventTypeCreate, hub: Hub, caller: Writer) -> schemas.EventTypeDetail:
    """With the first version of its schema, if one is given."""
    if body.schema_ is not None:
        event_types.check_schema(body.schema_, body.example)
    with hub.engine.begin() as conn:
        row = event_types.create(conn, caller, body)
        return _detail(row, event_types.current_version(conn, row))


@router.get("/event-types", summary="List event types")
def list_event_types(
    hub: Hub,
    caller: Reader,
    paging: Paging,
    label: Annotated[
        list[str], Query(max_length=20, description="Only those with all of these labels.")
    ] = [],  # noqa: B006 - FastAPI copies it
    archived: Annotated[bool, Query(description="The archived ones instead.")] = False,  # noqa: FBT002
) -> Page[schemas.EventType]:
    """Newest first."""
    with hub.engine.connect() as conn:
        rows = store.list_event_types(
            conn, caller.tenant_id, labels=label, archived=archived, after=paging.after, limit=paging.fetch
        )
    kept, cursor = page_of(rows, paging.limit, lambda row: row.id)
    return Page(data=[schemas.EventType(**_event_type(row)) for row in kept], next_cursor=cursor)


@router.post("/event-types/import", summary="Import event types from an OpenAPI document")
def import_event_types(body: schemas.Import, hub: Hub, caller: Writer) -> schemas.ImportReport:
    """Each entry of its `webhooks` becomes an event type, or a new version of one; what cannot is told with reasons.

    The schema is that of the `post` operation's JSON body; where it describes a whole envelope with `type`,
    `timestamp` and `data`, it is that of `data`. References to `#/components/schemas/…` are carried along.
    """
    prepared = importing.prepare(body.document)
    with hub.engine.connect() as conn:
        outcomes = importing.apply(conn, caller, prepared, validation=body.validation)
        if not body.dry_run:
            conn.commit()
    return schemas.ImportReport(dry_run=body.dry_run, data=[_imported(one) for one in outcomes])


@router.get("/event-types/{name}", summary="Read an event type")
def read_event_type(name: str, hub: Hub, caller: Reader) -> schemas.EventTypeDetail:
    """With the current version of its schema; archived ones too."""
    with snapshot(hub.engine) as conn:
        row = store.get_event_type(conn, caller.tenant_id, name)
        return _detail(row, event_types.current_version(conn, row))


@router.patch("/event-types/{name}", summary="Change an event type")
def update_event_type(
    name: str, body: schemas.EventTypeUpdate, hub: Hub, caller: Writer
) -> schemas.EventType:
    """What is left out stays. `archived: false` brings an archived one back."""
    with hub.engine.begin() as conn:
        return schemas.EventType(**_event_type(event_types.change(conn, caller, name, body)))


@router.delete("/event-types/{name}", status_code=204, summary="Archive an event type")
def archive_event_type(name: str, hub: Hub, caller: Writer) -> Response:
    """To publishers it is unknown from then on; its versions stay readable."""
    with hub.engine.begin() as conn:
        event_types.archive(conn, caller, name)
    return Response(status_code=204)


@router.get("/event-types/{name}/versions", summary="List the versions of a schema")
def list_versions(name: str, hub: Hub, caller: Reader, paging: Paging) -> Page[schemas.Version]:
    """Newest first, without the schemas."""
    with hub.engine.connect() as conn:
        row = store.get_event_type(conn, caller.tenant_id, name)
        rows = store.list_versions(conn, caller.tenant_id, row.id, after=paging.after, limit=paging.fetch)
    kept, cursor = page_of(rows, paging.limit, lambda row: row.id)
    return Page(data=[schemas.Version(**_version(row)) for row in kept], next_cursor=cursor)


@router.post("/event-types/{name}/versions", status_code=201, summary="Publish a version of a schema")
def publish_version(
    name: str, body: schemas.VersionCreate, hub: Hub, caller: Writer
) -> schemas.VersionDetail:
    """It becomes the current one; older ones stay readable. What it breaks is told, and stops nothing."""
    event_types.check_schema(body.schema_, body.example)
    with hub.engine.begin() as conn:
        row = event_types.publish_version(conn, caller, name, body.schema_, body.example)
    return _version_detail(row)


@router.get("/event-types/{name}/versions/{version}", summary="Read a version of a schema")
def read_version(
    name: str, version: Annotated[int, Path(ge=1, le=schemas.MAX_VERSION)], hub: Hub, caller: Reader
) -> schemas.VersionDetail:
    """With the schema and its example."""
    with hub.engine.connect() as conn:
        row = store.get_event_type(conn, caller.tenant_id, name)
        return _version_detail(store.get_version(conn, caller.tenant_id, row.id, version))


@router.post("/event-types/{name}/validate", summary="Judge a sample")
def validate_sample(name: str, body: schemas.Sample, hub: Hub, caller: Reader) -> schemas.Verdict:
    """Whatever the type's `validation` says; nothing is published."""
    with hub.engine.connect() as conn:
        row = store.get_event_type(conn, caller.tenant_id, name)
        number = body.version or row.current_version
        if number is None:
            raise Conflict(f"The event type {name} has no schema yet: publish a version first.")
        found = store.get_version(conn, caller.tenant_id, row.id, number)
    errors = compile_schema(found.schema).errors(body.data)
    return schemas.Verdict(valid=not errors, version=number, errors=_faults(errors))


@router.get("/event-type-settings", summary="Read the settings of all event types")
def read_settings(hub: Hub, caller: Reader) -> schemas.Settings:
    """What becomes of events whose type is not in the catalogue, and when events are sent again."""
    with hub.engine.connect() as conn:
        row = store.find_settings(conn, caller.tenant_id)
    if row is None:
        return schemas.Settings(unknown_event_types="allow", retry_policy=None)
    return _settings(row)


@router.patch("/event-type-settings", summary="Change the settings of all event types")
def update_settings(body: schemas.SettingsUpdate, hub: Hub, caller: Writer) -> schemas.Settings:
    """What is left out stays. They hold for every event that is published a second later.

    The retry policy holds for every attempt that begins after this call, also of events that are being retried.
    """
    with hub.engine.begin() as conn:
        return _settings(event_types.choose_settings(conn, caller, body))


# -- rows to JSON ---------------------------------------------------------------------------------------------------


def _event_type(row: Row[Any]) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in schemas.EventType.model_fields if name != "id"}
    return {"id": format_id(Kind.EVENT_TYPE, row.id), **values}


def _detail(row: Row[Any], version: Row[Any] | None) -> schemas.EventTypeDetail:
    return schemas.EventTypeDetail(
        **_event_type(row),
        schema_=None if version is None else version.schema,
        example=None if version is None else version.example,
    )


def _version(row: Row[Any]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in schemas.Version.model_fields}


def _version_detail(row: Row[Any]) -> schemas.VersionDetail:
    return schemas.VersionDetail(**_version(row), schema_=row.schema, example=row.example)


def _settings(row: Row[Any]) -> schemas.Settings:
    return schemas.Settings(unknown_event_types=row.unknown_event_types, retry_policy=row.retry_policy)


def _faults(errors: Sequence[FieldError]) -> list[schemas.Fault]:
    return [schemas.Fault(path=one.path, message=one.message) for one in errors]


def _imported(outcome: importing.Outcome) -> schemas.Imported:
    return schemas.Imported(
        webhook=outcome.found.webhook,
        name=outcome.found.name,
        result=outcome.result,
        version=outcome.version,
        breaking_changes=[schemas.BreakingChange(**one) for one in outcome.breaking_changes],
        errors=_faults(outcome.found.errors),
    )
