"""What the hub answers, as typed dictionaries: the JSON of the API, nothing renamed.

A newer hub may send more keys than are named here.
"""

from __future__ import annotations

from typing import Any, Generic, Literal, TypedDict, TypeVar

T = TypeVar("T")


class EventInput(TypedDict, total=False):
    """One event of a list: `type` and `data`, and an `id` when publishing it twice must be one event.

    `labels` narrow the audience, `ordering_key` keeps events in order at endpoints that ask for it, `deliver_at` and
    `expires_at` are RFC 3339 texts.
    """

    type: str
    data: Any
    id: str | None
    labels: list[str] | None
    ordering_key: str | None
    deliver_at: str | None
    expires_at: str | None


class Receipt(TypedDict):
    """What became of one event: `duplicate` when its id or request was seen before, also in a repeat."""

    id: str
    status: Literal["accepted", "duplicate", "conflict"]


class Page(TypedDict, Generic[T]):
    """One page of a list, newest first."""

    data: list[T]
    next_cursor: str | None


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


class Accepted(TypedDict):
    """An execution that is stored and will be made."""

    id: str
    state: str


class Execution(Accepted):
    """One operation that was asked for."""

    integration: str
    operation: str
    source: str
    reason: str | None
    attempts: int
    next_attempt_at: str | None
    created_at: str
    finished_at: str | None
    status: int | None
    error: dict[str, Any] | None
    metrics: dict[str, Any]


class ExecutionDetail(Execution):
    """An execution with its input, its result and every attempt, oldest first."""

    input: Any
    result: dict[str, Any] | None
    attempt_log: list[Attempt]


class Event(TypedDict):
    """A published event."""

    id: str
    event_id: str | None
    type: str
    source: str
    state: str
    reason: str | None
    created_at: str


class EventDetail(Event):
    """An event with its payload."""

    data: Any


class Delivery(TypedDict):
    """One event on its way to one endpoint."""

    id: str
    event: str
    endpoint: str
    state: str
    reason: str | None
    attempts: int
    retries_used: int
    next_attempt_at: str | None
    created_at: str
    finished_at: str | None


class DeliveryDetail(Delivery):
    """A delivery with its attempts, oldest first."""

    attempt_log: list[Attempt]


class Endpoint(TypedDict):
    """Where events are delivered to."""

    id: str
    name: str
    description: str
    url: str
    kind: Literal["events", "operations"]
    event_types: list[str]
    labels: list[str]
    filter: dict[str, Any] | None
    transformations: list[Any]
    headers: dict[str, str]
    secret: dict[str, str] | None
    previous_secrets: list[dict[str, str]]
    public_key: str | None
    previous_public_keys: list[dict[str, str]]
    signature_profiles: list[Any]
    auth: dict[str, Any]
    auth_secret: dict[str, str] | None
    client_certificate: dict[str, str] | None
    timeout_seconds: float | None
    retry_policy: dict[str, Any] | None
    max_in_flight: int | None
    rate_limit: float | None
    drain_rate: float | None
    ordering: Literal["best_effort", "strict"]
    batch: dict[str, Any]
    ip_allow_list: list[str]
    metadata: dict[str, str]
    challenge: bool
    status: Literal["active", "paused", "disabled", "unverified"]
    status_reason: str | None
    hold: str | None
    version: int
    created_by: str | None
    created_at: str
    updated_at: str


class EndpointDetail(Endpoint):
    """An endpoint and how it did in the last 24 hours."""

    monitoring: dict[str, Any]


class EndpointSecret(Endpoint):
    """An endpoint with its signing secret, which is shown this once."""

    signing_secret: str


class EndpointSwitched(Endpoint):
    """An endpoint that was paused or resumed, and how many deliveries were cancelled."""

    discarded: int


class EndpointStatistics(TypedDict):
    """How an endpoint did in a period; rates in percent, times in milliseconds."""

    period: str
    since: str
    attempts: int
    succeeded: int
    failed: int
    per_minute: float
    delivery_rate: float | None
    error_rate: float | None
    average_latency_ms: float | None
    p95_latency_ms: float | None
    last_delivery_at: str | None
    last_failure_at: str | None
    failing_since: str | None
    waiting: int
    hold: str | None
    hold_until: str | None
    breaker: Literal["closed", "open", "half_open"]


class SentTest(TypedDict):
    """A test event on its way, and what came of its first attempt if that was waited for."""

    event: str
    delivery: str
    state: str
    reason: str | None
    attempts: int
    status: int | None
    error_class: str | None
    message: str | None
    total_ms: float | None


class ImportReport(TypedDict):
    """What became of an import; `data` has one entry for each endpoint, in order."""

    dry_run: bool
    created: int
    refused: int
    data: list[dict[str, Any]]


class Integration(TypedDict):
    """An outside service that the hub calls."""

    id: str
    name: str
    description: str
    type: str
    protocol: str
    base_url: str
    auth: dict[str, Any]
    headers: dict[str, str]
    timeout_seconds: float
    follow_redirects: int
    retry_policy: dict[str, Any]
    operations: dict[str, dict[str, Any]]
    health_check: dict[str, Any] | None
    status: str
    tags: list[str]
    version: int
    created_by: str | None
    created_at: str
    updated_at: str
