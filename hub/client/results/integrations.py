"""Integrations and their executions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from hub.client.results.events import Attempt


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
    status: Literal["active", "inactive", "maintenance", "deprecated"]
    tags: list[str]
    version: int
    created_by: str | None
    created_at: str
    updated_at: str


class Accepted(TypedDict):
    """An execution that is stored and will be made."""

    id: str
    state: str


class Execution(Accepted):
    """One operation that was asked for."""

    integration: str
    operation: str
    source: str
    caller: str | None
    user: str | None
    component: str | None
    batch: str | None
    schedule: str | None
    replay_of: str | None
    event: str | None
    flow: str | None
    trace_id: str | None
    cached: bool
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
    request: dict[str, Any] | None
    result: dict[str, Any] | None
    attempt_log: list[Attempt]


class Schedule(TypedDict):
    """An operation that is executed at times of the clock."""

    id: str
    integration: str
    name: str
    operation: str
    input: Any
    cron: str | None
    timezone: str
    every_seconds: float | None
    overlap: str
    paused: bool
    next_at: str | None
    last_at: str | None
    last_execution: str | None
    version: int
    created_at: str
    updated_at: str


class Batch(TypedDict):
    """How far a batch of executions is."""

    id: str
    total: int
    finished: int
    states: dict[str, int]


class Link(TypedDict):
    """What one link of the chain would do."""

    link: str
    ms: float
    result: str
    message: str | None
    note: Any


class ExecutionDryRun(TypedDict):
    """What an execution would do."""

    would_call: bool
    links: list[Link]
    curl: str | None


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
    """What became of declared definitions."""

    dry_run: bool
    data: list[Applied]
