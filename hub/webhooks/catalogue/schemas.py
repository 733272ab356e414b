"""Input and output of the catalogue's routes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from hub.core.errors import Invalid
from hub.webhooks.endpoints.schemas import RetryPolicy
from hub.webhooks.matching import check_event_type

Validation = Literal["off", "warn", "enforce"]
UnknownEventTypes = Literal["allow", "warn", "enforce"]
#: What the database can count to.
MAX_VERSION = 2**31 - 1


class Input(BaseModel):
    """Unknown fields are refused: a misspelt option must not be ignored."""

    model_config = ConfigDict(extra="forbid")


Name = Annotated[str, Field(max_length=128, description="As in `type` of an event: `invoice.paid`.")]
Labels = Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], Field(max_length=20)]
Title = Annotated[str, Field(max_length=200)]
Description = Annotated[str, Field(max_length=8192)]
_SCHEMA = "JSON Schema, draft 2020-12, of the event's `data`; up to 256 KiB, references within it only."
_EXAMPLE = "An event's `data`; it must fit the schema."
_VALIDATION = (
    "What becomes of an event that does not fit: nothing, a warning, or a refusal. Events that a source received from"
    " outside are not judged: they are as their provider made them."
)
_RETRY_POLICY = (
    "When its events are sent again, to endpoints without a policy of their own."
    " Null: the tenant's (`/v1/event-type-settings`) or else the deployment's schedule."
)


def _check_name(value: str) -> str:
    try:
        return check_event_type(value, field="name")
    except Invalid as error:
        raise ValueError(error.fields[0].message) from None


class VersionCreate(Input):
    """A new version of an event type's schema."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"schema": {"type": "object", "required": ["amount"]}, "example": {"amount": 1999}}]
        },
    )

    # `schema` is taken by pydantic's own base class.
    schema_: dict[str, Any] | bool = Field(alias="schema", description=_SCHEMA)
    example: Any = Field(default=None, description=_EXAMPLE)


class EventTypeCreate(Input):
    """A new event type."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "invoice.paid",
                    "labels": ["billing"],
                    "validation": "enforce",
                    "schema": {"type": "object", "required": ["amount"]},
                }
            ]
        },
    )

    name: Name
    title: Title = ""
    description: Description = ""
    labels: Labels = []
    deprecated: bool = False
    validation: Validation = Field(default="off", description=_VALIDATION)
    retry_policy: RetryPolicy | None = Field(default=None, description=_RETRY_POLICY)
    schema_: dict[str, Any] | bool | None = Field(default=None, alias="schema", description=_SCHEMA)
    example: Any = Field(default=None, description=_EXAMPLE)

    _name = field_validator("name")(_check_name)


class EventTypeUpdate(Input):
    """Changes of an event type; what is left out stays. Its name is what events say, so it cannot change."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"validation": "enforce"}]})

    title: Title = ""
    description: Description = ""
    labels: Labels = []
    deprecated: bool = False
    validation: Validation = Field(default="off", description=_VALIDATION)
    retry_policy: RetryPolicy | None = Field(default=None, description=_RETRY_POLICY)
    archived: Literal[False] = Field(default=False, description="Brings an archived type back.")


class BreakingChange(BaseModel):
    """What a version breaks against the one before."""

    path: str
    change: Literal["required_added", "property_removed", "type_changed"]


class EventType(BaseModel):
    """An event type."""

    id: str
    name: str
    title: str
    description: str
    labels: list[str]
    deprecated: bool
    validation: Validation
    retry_policy: dict[str, Any] | None
    current_version: int | None
    archived_at: datetime | None
    created_at: datetime
    updated_at: datetime


class Version(BaseModel):
    """A version of an event type's schema."""

    version: int
    breaking_changes: list[BreakingChange] = Field(
        description="Against the version before: a note for people, which stops nothing."
    )
    created_at: datetime


class VersionDetail(Version):
    """A version with its schema."""

    schema_: Any = Field(serialization_alias="schema")
    example: Any


class EventTypeDetail(EventType):
    """An event type with the current version of its schema."""

    schema_: Any = Field(serialization_alias="schema", description="Null while there is none.")
    example: Any


class Sample(Input):
    """An event's data to be judged."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"data": {"amount": "12"}}]})

    data: Any
    version: int | None = Field(
        default=None, ge=1, le=MAX_VERSION, description="Judge by this version; unset: the current one."
    )


class Fault(BaseModel):
    """One fault of a sample or a document."""

    path: str = Field(examples=["data.amount"])
    message: str = Field(examples=["must be an integer"])


class Verdict(BaseModel):
    """Whether a sample fits a schema."""

    valid: bool
    version: int
    errors: list[Fault]


class Import(Input):
    """An OpenAPI document whose `webhooks` become event types."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"document": {"openapi": "3.1.0", "webhooks": {}}, "dry_run": True}]},
    )

    document: dict[str, Any] = Field(description="OpenAPI 3.1 or 3.2, as JSON.")
    dry_run: bool = Field(default=False, description="Only tell what would be done.")
    validation: Validation = Field(default="off", description="Of the event types that are made.")


class Imported(BaseModel):
    """What became of one webhook of the document."""

    webhook: str = Field(description="Its name in the document.")
    name: str | None = Field(description="The event type.")
    result: Literal["created", "new_version", "unchanged", "refused"]
    version: int | None
    breaking_changes: list[BreakingChange]
    errors: list[Fault]


class ImportReport(BaseModel):
    """What became of each webhook, in the document's order."""

    dry_run: bool
    data: list[Imported]


_UNKNOWN_EVENT_TYPES = (
    "What becomes of an event whose type is not in the catalogue, or archived:"
    " it is accepted, accepted with a warning, or refused."
)


class SettingsUpdate(Input):
    """Changes of a tenant's choices for all event types; what is left out stays."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "unknown_event_types": "enforce",
                    "retry_policy": {"strategy": "exponential", "initial_seconds": 5, "max_retries": 8},
                }
            ]
        },
    )

    unknown_event_types: UnknownEventTypes = Field(default="allow", description=_UNKNOWN_EVENT_TYPES)
    retry_policy: RetryPolicy | None = Field(
        default=None,
        description="When events are sent again, where neither the endpoint nor the event type has a policy."
        " Null: the deployment's schedule.",
    )


class Settings(BaseModel):
    """A tenant's choices for all event types."""

    unknown_event_types: UnknownEventTypes = Field(description=_UNKNOWN_EVENT_TYPES)
    retry_policy: dict[str, Any] | None
