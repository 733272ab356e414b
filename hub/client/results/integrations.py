"""Integrations: their definitions, versions and grants."""

from __future__ import annotations

from typing import Any, Literal, TypedDict


class Integration(TypedDict):
    """An outside service that the hub calls."""

    id: str
    name: str
    description: str
    type: str
    protocol: str
    base_url: str
    settings: dict[str, Any]
    auth: dict[str, Any]
    tls: dict[str, Any] | None
    headers: dict[str, str]
    timeout_seconds: float
    max_response_bytes: int
    follow_redirects: int
    retry_policy: dict[str, Any]
    operations: dict[str, dict[str, Any]]
    request_transform: list[Any]
    response_transform: list[Any]
    error_mapping: list[dict[str, Any]]
    rate_limit: dict[str, Any]
    caching: dict[str, Any]
    quota: dict[str, Any]
    access: dict[str, Any]
    data_policy: dict[str, Any]
    logging: dict[str, Any]
    health_check: dict[str, Any] | None
    alerts: list[dict[str, Any]]
    status: Literal["active", "inactive", "maintenance", "deprecated"]
    tags: list[str]
    version: int
    created_by: str | None
    created_at: str
    updated_at: str


class Change(TypedDict):
    """One place where two definitions differ."""

    path: str
    before: Any
    after: Any


class Applied(TypedDict):
    """What became of one declared definition."""

    name: str
    action: Literal["create", "update", "none"]
    changes: list[Change]
    secrets: list[str]


class AppliedAll(TypedDict):
    """What became of declared definitions, in their order."""

    dry_run: bool
    data: list[Applied]


class IntegrationVersion(TypedDict):
    """One version of a definition."""

    version: int
    changed_by: str | None
    created_at: str


class IntegrationVersionDetail(IntegrationVersion):
    """A version with its document, which has the form of a request that creates the integration."""

    document: dict[str, Any]


class Difference(TypedDict):
    """What changed from one version to another."""

    from_version: int
    to_version: int
    changes: list[Change]


class TransportKind(TypedDict):
    """One transport, and what its definitions are made of, as JSON Schemas."""

    name: str
    schemes: dict[str, int]
    auth_modes: list[str]
    free_operation: str | None
    settings: dict[str, Any]
    operation: dict[str, Any]


class IntegrationKinds(TypedDict):
    """What an integration can be made of at this hub."""

    types: dict[str, list[str]]
    transports: list[TransportKind]
    definition: dict[str, Any]
    auth_modes: dict[str, dict[str, Any]]


class IntegrationTest(TypedDict):
    """What a test call brought; times in milliseconds."""

    ok: bool
    links: dict[str, float]
    status: int | None
    error: dict[str, Any] | None
    latency_ms: float
    timings: dict[str, float | None]
    peer: str | None
    result: dict[str, Any]


class UsageOfPeriod(TypedDict):
    """What was used in a day or a month; None as a limit is no limit."""

    begins: str
    calls: int
    calls_limit: int | None
    bytes: int
    bytes_limit: int | None


class IntegrationUsage(TypedDict):
    """What was used of an integration's quota; one without a quota is not `counted`."""

    counted: bool
    day: UsageOfPeriod
    month: UsageOfPeriod


class AlertState(TypedDict):
    """How one alert is; `value` is what it was when that began."""

    name: str
    firing: bool
    since: str | None
    value: float | None


class Authorization(TypedDict):
    """Where to send a person: to `url`, or to `verification_uri` with the `user_code`."""

    kind: Literal["redirect", "device"]
    url: str | None
    user_code: str | None
    verification_uri: str | None
    verification_uri_complete: str | None
    interval: int | None
    expires_at: str


class Polled(TypedDict):
    """Whether the person is done."""

    state: Literal["pending", "connected"]


class Grant(TypedDict):
    """What a provider has granted for an integration."""

    integration_id: str
    state: Literal["none", "active", "needs_reauth"]
    scopes: list[str]
    obtained_at: str | None
    expires_at: str | None
    renewable: bool
    metadata: dict[str, Any]
    last_error: str | None
    version: int
    updated_at: str | None


class Disconnected(TypedDict):
    """A grant was forgotten; whether the provider took it back too, and if not, why."""

    revoked: bool
    detail: str | None
