"""What can be done with event types, each in one transaction with the note that the tenant's set-up changed.

That note comes first: it locks the tenant's row, so the changes of one tenant's catalogue follow one another, and the
versions of a schema are numbered without gaps. Schemas are compiled before the transaction begins.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hub.access.store import bump_config_version
from hub.core.errors import Conflict, FieldError, Invalid
from hub.core.ids import new_uuid
from hub.json_schema import MAX_BYTES, compile_schema
from hub.webhooks.catalogue import store
from hub.webhooks.catalogue.compatibility import breaking_changes

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from hub.access.principal import Principal
    from hub.webhooks.catalogue.schemas import EventTypeCreate, EventTypeUpdate, SettingsUpdate


def check_schema(schema: Any, example: Any) -> None:
    """Judge a schema and, unless it is null, an example of it. Call it outside of a transaction.

    Raises:
        Invalid: the schema is not acceptable, or the example does not fit it; with every fault.
        TooLarge: one of them is too large.
    """
    validator = compile_schema(schema)
    if example is None:
        return
    faults = validator.errors(example, at="example")
    if len(json.dumps(example)) > MAX_BYTES:
        faults = [FieldError("example", f"is over {MAX_BYTES // 1024} KiB")]
    if faults:
        raise Invalid(
            f"The example is not acceptable: {faults[0].path} {faults[0].message}.", fields=tuple(faults)
        )


def create(conn: Connection, caller: Principal, body: EventTypeCreate) -> Row[Any]:
    """Make an event type, with the first version of its schema when one is given, which was checked.

    Raises:
        Conflict: the name is taken.
        Invalid: it is to be validated, and there is no schema.
    """
    bump_config_version(conn, caller.tenant_id)
    taken = store.find_event_type(conn, caller.tenant_id, body.name)
    if taken is not None:
        message = (
            "is archived: bring it back with `archived: false`" if taken.archived_at else "exists already"
        )
        raise Conflict(f"The event type {body.name} {message}.", fields=(FieldError("name", message),))
    _require_schema(body.validation, None if body.schema_ is None else 1)
    values = _columns(body, body.model_dump(exclude={"schema_", "example"}))
    row = insert(conn, caller, values)
    if body.schema_ is not None:
        row, _ = append(conn, caller, row, body.schema_, body.example)
    return row


def change(conn: Connection, caller: Principal, name: str, body: EventTypeUpdate) -> Row[Any]:
    """Change an event type.

    Raises:
        NotFound: there is none of this name.
        Invalid: it is to be validated, and there is no schema.
    """
    bump_config_version(conn, caller.tenant_id)
    row = store.get_event_type(conn, caller.tenant_id, name)
    values = _columns(body, body.model_dump(exclude_unset=True))
    if "archived" in values:
        values = {**values, "archived_at": None}
        del values["archived"]
    _require_schema(values.get("validation", "off"), row.current_version)
    return store.update_event_type(conn, caller.tenant_id, row.id, values)


def archive(conn: Connection, caller: Principal, name: str) -> None:
    """Take an event type out of the catalogue; it stays readable and can be brought back. Twice is once.

    Raises:
        NotFound: there is none of this name.
    """
    bump_config_version(conn, caller.tenant_id)
    row = store.get_event_type(conn, caller.tenant_id, name)
    if row.archived_at is None:
        store.archive_event_type(conn, caller.tenant_id, row.id)


def publish_version(conn: Connection, caller: Principal, name: str, schema: Any, example: Any) -> Row[Any]:
    """Add a version to an event type, which becomes the current one.

    Args:
        conn: a connection inside a transaction.
        caller: whose type it is.
        name: of the type.
        schema: which was checked.
        example: which was checked; None for none.

    Raises:
        NotFound: there is no type of this name.
        Conflict: the type is archived, or this is its current schema already.
    """
    bump_config_version(conn, caller.tenant_id)
    row = store.get_event_type(conn, caller.tenant_id, name)
    if row.archived_at is not None:
        raise Conflict(f"The event type {name} is archived: bring it back with `archived: false` first.")
    current = current_version(conn, row)
    if current is not None and same(current.schema, schema) and same(current.example, example):
        raise Conflict(f"This is version {current.version} of {name} already.")
    return append(conn, caller, row, schema, example)[1]


def choose_settings(conn: Connection, caller: Principal, body: SettingsUpdate) -> Row[Any]:
    """Change what holds for all event types; what is left out stays."""
    bump_config_version(conn, caller.tenant_id)
    values = _columns(body, body.model_dump(exclude_unset=True))
    return store.put_settings(conn, caller.tenant_id, values)


def current_version(conn: Connection, row: Row[Any]) -> Row[Any] | None:
    """The current version of an event type; None while it has none."""
    if row.current_version is None:
        return None
    return store.get_version(conn, row.tenant_id, row.id, row.current_version)


def insert(conn: Connection, caller: Principal, values: dict[str, Any]) -> Row[Any]:
    """Write an event type whose name is known to be free."""
    made = {"id": new_uuid(), "tenant_id": caller.tenant_id, "created_by": caller.key_id}
    return store.insert_event_type(conn, {**values, **made})


def append(
    conn: Connection, caller: Principal, row: Row[Any], schema: Any, example: Any
) -> tuple[Row[Any], Row[Any]]:
    """Write the next version of an event type; the type and the version. The tenant is locked."""
    before = current_version(conn, row)
    number = (row.current_version or 0) + 1
    breaks = [] if before is None else breaking_changes(before.schema, schema)
    version = store.insert_version(
        conn,
        {
            "event_type_id": row.id,
            "tenant_id": row.tenant_id,
            "version": number,
            "id": new_uuid(),
            "schema": schema,
            "example": example,
            "breaking_changes": [{"path": one.path, "change": one.change} for one in breaks],
            "created_by": caller.key_id,
        },
    )
    return store.update_event_type(conn, row.tenant_id, row.id, {"current_version": number}), version


def same(one: Any, other: Any) -> bool:
    """Are two JSON values the same text but for the order of keys? 1 and 1.0 and true are not."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _columns(
    body: EventTypeCreate | EventTypeUpdate | SettingsUpdate, values: dict[str, Any]
) -> dict[str, Any]:
    """What was given, its retry policy as endpoints store theirs: with its defaults, without what it leaves open."""
    if body.retry_policy is None:
        return values
    return {**values, "retry_policy": body.retry_policy.model_dump(exclude_none=True)}


def _require_schema(validation: str, version: int | None) -> None:
    if validation != "off" and version is None:
        message = "needs a schema: give one, or publish a version first"
        raise Invalid(f"validation {message}.", fields=(FieldError("validation", message),))
