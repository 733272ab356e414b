"""The catalogue of event types."""

from __future__ import annotations

from typing import Any, Literal, TypedDict


class EventType(TypedDict):
    """An event type."""

    id: str
    name: str
    title: str
    description: str
    labels: list[str]
    deprecated: bool
    validation: Literal["off", "warn", "enforce"]
    retry_policy: dict[str, Any] | None
    current_version: int | None
    archived_at: str | None
    created_at: str
    updated_at: str


class EventTypeDetail(EventType):
    """An event type with the current version of its schema."""

    schema: Any
    example: Any


class SchemaVersion(TypedDict):
    """A version of an event type's schema, and what it breaks against the one before."""

    version: int
    breaking_changes: list[dict[str, str]]
    created_at: str


class SchemaVersionDetail(SchemaVersion):
    """A version with its schema."""

    schema: Any
    example: Any


class Verdict(TypedDict):
    """Whether a sample fits a version of a schema."""

    valid: bool
    version: int
    errors: list[dict[str, str]]


class EventTypeImport(TypedDict):
    """What became of an import; `data` has one entry for each webhook of the document, in its order."""

    dry_run: bool
    data: list[dict[str, Any]]


class EventTypeSettings(TypedDict):
    """What becomes of an event whose type is not in the catalogue, and when events are sent again."""

    unknown_event_types: Literal["allow", "warn", "enforce"]
    retry_policy: dict[str, Any] | None
