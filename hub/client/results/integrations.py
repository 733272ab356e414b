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
    auth: dict[str, Any]
    headers: dict[str, str]
    timeout_seconds: float
    follow_redirects: int
    retry_policy: dict[str, Any]
    operations: dict[str, dict[str, Any]]
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
