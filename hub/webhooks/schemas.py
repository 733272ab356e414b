"""Input and output of the webhook routes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_MAX_DELAY = 7 * 86_400


class Input(BaseModel):
    """Unknown fields are refused: a misspelt option must not be ignored."""

    model_config = ConfigDict(extra="forbid")


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
    trace_id: str = Field(description="Of all that follows from it: deliveries, executions, their events.")
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


class DryRunRequest(BaseModel):
    """The request that an endpoint would get; signatures and credentials are masked."""

    url: str
    headers: dict[str, str]
    body: str


class DryRunResult(BaseModel):
    """What one endpoint would make of an event."""

    endpoint: str
    name: str
    would_send: bool
    reason: str | None = Field(
        description="Why not: event_type, labels, filtered, cancelled_by_transformation, transformation_failed, or"
        " what holds the endpoint."
    )
    message: str | None
    filter: list[dict[str, Any]] = Field(description="How each condition of its filter judged the event.")
    request: DryRunRequest | None


class DryRun(BaseModel):
    """What would happen to an event."""

    accepted: bool = Field(description="Whether the catalogue of event types would let it in.")
    errors: list[ReceiptField]
    warnings: list[ReceiptField]
    endpoints: list[DryRunResult]
    others: int = Field(
        description="Endpoints that do not subscribe to its type, or are beyond the first 100."
    )
