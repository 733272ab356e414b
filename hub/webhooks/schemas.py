"""Input and output of the webhook routes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from hub.webhooks.matching import is_pattern

_MAX_DELAY = 7 * 86_400


class Input(BaseModel):
    """Unknown fields are refused: a misspelt option must not be ignored."""

    model_config = ConfigDict(extra="forbid")


def _check_patterns(value: list[str]) -> list[str]:
    bad = [text for text in value if not is_pattern(text)]
    if bad:
        raise ValueError(
            f"{', '.join(bad[:5])}: expected an event type, a prefix such as `invoice.*`, or `*`"
        )
    return value


Schedule = Annotated[list[Annotated[float, Field(ge=0, le=_MAX_DELAY)]], Field(max_length=50)]
Metadata = Annotated[dict[str, str], Field(max_length=50)]


class EndpointCreate(Input):
    """A new endpoint."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"name": "billing", "url": "https://example.com/webhooks", "event_types": ["invoice.*"]}
            ]
        },
    )

    name: str = Field(min_length=1, max_length=128)
    url: str = Field(max_length=2048, description="Where deliveries are posted; http or https.")
    description: str = Field(default="", max_length=1024)
    event_types: list[str] = Field(
        default=["*"],
        min_length=1,
        max_length=100,
        description="Event types, prefixes such as `invoice.*`, or `*`.",
    )
    secret: str | None = Field(
        default=None,
        max_length=128,
        description="`whsec_…`, 24 to 64 bytes in base64. Unset: the hub makes one.",
    )
    headers: dict[str, str] = Field(
        default={}, max_length=30, description="Sent with every delivery; not for secrets."
    )
    timeout_seconds: float | None = Field(default=None, ge=1, le=60)
    retry_schedule: Schedule | None = Field(
        default=None, description="Seconds from one failed attempt to the next."
    )
    metadata: Metadata = {}

    _patterns = field_validator("event_types")(_check_patterns)


class EndpointUpdate(Input):
    """Changes of an endpoint; what is left out stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"status": "paused"}]})

    name: str = Field(default="", min_length=1, max_length=128)
    url: str = Field(default="", min_length=1, max_length=2048)
    description: str = Field(default="", max_length=1024)
    event_types: list[str] = Field(default=[], min_length=1, max_length=100)
    headers: dict[str, str] = Field(default={}, max_length=30)
    timeout_seconds: float | None = Field(default=None, ge=1, le=60)
    retry_schedule: Schedule | None = None
    metadata: Metadata = {}
    status: Literal["active", "paused", "disabled"] = Field(
        default="active", description="`active` also re-enables: what was held meanwhile is sent."
    )

    _patterns = field_validator("event_types")(_check_patterns)


class SecretView(BaseModel):
    """What may be shown of a secret."""

    last4: str
    fingerprint: str


class Endpoint(BaseModel):
    """An endpoint."""

    id: str
    name: str
    description: str
    url: str
    event_types: list[str]
    headers: dict[str, str]
    timeout_seconds: float | None
    retry_schedule: list[float] | None
    metadata: dict[str, str]
    secret: SecretView | None
    status: Literal["active", "paused", "disabled"]
    status_reason: str | None
    version: int
    created_at: datetime
    updated_at: datetime


class EndpointCreated(Endpoint):
    """A new endpoint with its signing secret, which is shown this once."""

    signing_secret: str


class Event(BaseModel):
    """A published event."""

    id: str
    event_id: str | None = Field(description="The publisher's id.")
    type: str
    source: str = Field(description="The door: http, celery, sql, incoming, test or hub.")
    labels: list[str]
    ordering_key: str | None
    deliver_at: datetime | None
    expires_at: datetime | None
    state: Literal["scheduled", "due", "done", "expired", "cancelled", "failed"]
    reason: str | None
    created_at: datetime


class EventDetail(Event):
    """An event with its payload."""

    data: Any


class Delivery(BaseModel):
    """One event on its way to one endpoint."""

    id: str
    event: str
    endpoint: str
    state: str
    reason: str | None
    attempts: int
    retries_used: int
    replays: int
    next_attempt_at: datetime | None
    created_at: datetime
    finished_at: datetime | None


class Attempt(BaseModel):
    """One call; times in milliseconds."""

    id: str
    number: int
    worker: str | None
    started_at: datetime
    outcome: str
    late: bool
    error_class: str | None
    message: str | None
    status: int | None
    peer: str | None
    dns_ms: float | None
    connect_ms: float | None
    tls_ms: float | None
    first_byte_ms: float | None
    total_ms: float | None
    request_headers: dict[str, str] | None = Field(description="As sent; what is secret in them is masked.")
    response_headers: dict[str, str] | None
    response_body: str | None
    truncated: bool


class DeliveryDetail(Delivery):
    """A delivery with its attempts, oldest first."""

    attempt_log: list[Attempt]


class ReceiptField(BaseModel):
    """What is wrong with one field of an event."""

    path: str
    message: str


class Receipt(BaseModel):
    """What became of one published event.

    `accepted`; `duplicate`: its id was seen before, this is that event; `conflict`: its id was seen before with other
    content, nothing was written; `invalid`: it is not acceptable, see `errors` (with `?partial=true` only).
    """

    id: str | None
    status: Literal["accepted", "duplicate", "conflict", "invalid"]
    warnings: list[ReceiptField] | None = None
    errors: list[ReceiptField] | None = None


class Receipts(BaseModel):
    """One receipt for each event, in order."""

    data: list[Receipt]


class PublishEvent(Input):
    """One event."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"type": "invoice.paid", "data": {"invoice": "in_42", "amount": 1999}}]
        },
    )

    type: str = Field(max_length=128)
    data: Any
    id: str | None = Field(
        default=None, max_length=128, description="Publishing the same id twice is one event."
    )
    labels: list[str] | None = Field(
        default=None, max_length=20, description="Endpoints that ask for labels get it when they share one."
    )
    ordering_key: str | None = Field(
        default=None,
        max_length=128,
        description="Events of one key reach endpoints with strict ordering one after the other.",
    )
    deliver_at: datetime | None = Field(default=None, description="Not before this moment; within 365 days.")
    expires_at: datetime | None = Field(
        default=None, description="What is not delivered by then is not sent any more."
    )
