"""Endpoints."""

from __future__ import annotations

from typing import Any, Literal, TypedDict


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
