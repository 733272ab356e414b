"""Events and their deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class EventOptions(TypedDict, total=False):
    """What may be said of an event beside its type and data: an `id` when publishing it twice must be one event.

    `labels` narrow the audience, `ordering_key` keeps events in order at endpoints that ask for it, `deliver_at` and
    `expires_at` are times with their zone, or RFC 3339 texts.
    """

    id: str | None
    labels: Sequence[str] | None
    ordering_key: str | None
    deliver_at: datetime | str | None
    expires_at: datetime | str | None


class EventInput(EventOptions, total=False):
    """One event of a list: `type` and `data`, and the options."""

    type: str
    data: Any


class ReceiptField(TypedDict):
    """What is wrong with one field of an event."""

    path: str
    message: str


class Receipt(TypedDict):
    """What became of one event: `duplicate` when its id or request was seen before, also in a repeat."""

    id: str
    status: Literal["accepted", "duplicate", "conflict"]
    warnings: NotRequired[list[ReceiptField]]


class InvalidReceipt(TypedDict):
    """An event of a list that was not acceptable; the others were written (with `partial` only)."""

    id: None
    status: Literal["invalid"]
    errors: list[ReceiptField]


class Event(TypedDict):
    """A published event."""

    id: str
    event_id: str | None
    type: str
    source: str
    labels: list[str]
    ordering_key: str | None
    deliver_at: str | None
    expires_at: str | None
    state: Literal["scheduled", "due", "done", "expired", "cancelled", "failed"]
    reason: str | None
    trace_id: str
    created_at: str


class EventDetail(Event):
    """An event with its payload."""

    data: Any


class Attempt(TypedDict):
    """One call that the hub made; times in milliseconds."""

    id: str
    number: int
    worker: str | None
    started_at: str
    outcome: Literal["succeeded", "failed", "interrupted"]
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
    response_headers: dict[str, str] | None
    response_body: str | None
    truncated: bool


class DeliveryAttempt(Attempt):
    """One call of a receiver, with the headers that were sent; what is secret in them is masked."""

    request_headers: dict[str, str] | None


class Delivery(TypedDict):
    """One event on its way to one endpoint."""

    id: str
    event: str
    endpoint: str
    state: str
    reason: str | None
    attempts: int
    retries_used: int
    replays: int
    next_attempt_at: str | None
    created_at: str
    finished_at: str | None


class DeliveryDetail(Delivery):
    """A delivery with its attempts, oldest first."""

    attempt_log: list[DeliveryAttempt]


class DryRunResult(TypedDict):
    """What one endpoint would make of an event; signatures and credentials are masked."""

    endpoint: str
    name: str
    would_send: bool
    reason: str | None
    message: str | None
    filter: list[dict[str, Any]]
    request: dict[str, Any] | None


class DryRun(TypedDict):
    """What would become of an event."""

    accepted: bool
    errors: list[ReceiptField]
    warnings: list[ReceiptField]
    endpoints: list[DryRunResult]
    others: int


class Resent(TypedDict):
    """An event that is sent again, and its deliveries that became due."""

    event: str
    deliveries: list[str]
