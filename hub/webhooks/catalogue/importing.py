"""An import of an OpenAPI document: everything that can be taken is taken in one transaction, the rest is told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from hub.access.store import bump_config_version
from hub.core.errors import FieldError, Invalid
from hub.json_schema import compile_schema
from hub.webhooks.catalogue import event_types, store
from hub.webhooks.catalogue.openapi_import import Found, read_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from hub.access.principal import Principal

#: Bytes of all schemas of one import: a component that a hundred webhooks share is carried along a hundred times.
MAX_TOTAL_BYTES = 4 * 1_048_576


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one webhook."""

    found: Found
    result: Literal["created", "new_version", "unchanged", "refused"]
    version: int | None = None
    breaking_changes: Sequence[dict[str, Any]] = ()


def prepare(document: dict[str, Any]) -> list[Found]:
    """Read a document and check every schema. Takes a while: call it outside of a transaction.

    Raises:
        Invalid: it is not an OpenAPI document with webhooks.
    """
    total = 0
    prepared = []
    for one in read_document(document):
        if one.errors:
            prepared.append(one)
            continue
        try:
            if total > MAX_TOTAL_BYTES:
                raise Invalid(
                    "", fields=(FieldError("schema", "is over the import's size: import it in parts"),)
                )
            validator = compile_schema(one.schema)
            total += validator.size
        except Invalid as error:
            prepared.append(replace(one, errors=error.fields))
            continue
        # Examples in documents are often sketches: one that does not fit is left out, not the event type.
        fits = one.example is not None and not validator.errors(one.example)
        prepared.append(one if fits else replace(one, example=None))
    return prepared


def apply(
    conn: Connection, caller: Principal, prepared: Sequence[Found], *, validation: str
) -> list[Outcome]:
    """Write what was prepared; a dry run is rolled back by the caller.

    An event type that exists keeps its title, description, labels and validation: people may have changed them.
    """
    bump_config_version(conn, caller.tenant_id)
    return [_apply_one(conn, caller, one, validation) for one in prepared]


def _apply_one(conn: Connection, caller: Principal, one: Found, validation: str) -> Outcome:
    if one.errors or one.name is None:
        return Outcome(one, "refused")
    row = store.find_event_type(conn, caller.tenant_id, one.name)
    if row is None:
        values = {
            "name": one.name,
            "title": one.title,
            "description": one.description,
            "labels": list(one.labels),
            "deprecated": one.deprecated,
            "validation": validation,
        }
        made = event_types.insert(conn, caller, values)
        event_types.append(conn, caller, made, one.schema, one.example)
        return Outcome(one, "created", 1)
    if row.archived_at is not None:
        message = "is archived: bring it back with `archived: false` first"
        return Outcome(replace(one, errors=(FieldError("name", message),)), "refused")
    current = event_types.current_version(conn, row)
    if current is not None and event_types.same(current.schema, one.schema):
        return Outcome(one, "unchanged", current.version)
    version = event_types.append(conn, caller, row, one.schema, one.example)[1]
    return Outcome(one, "new_version", version.version, version.breaking_changes)
