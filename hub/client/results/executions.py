"""Executions of operations, their batches and schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from hub.client.results.events import Attempt


class ExecutionInput(TypedDict):
    """One operation of a batch."""

    operation: str
    input: NotRequired[Mapping[str, Any]]
    user: NotRequired[str | None]
    component: NotRequired[str | None]
    not_before: NotRequired[datetime | str | None]


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


class AcceptedBatch(TypedDict):
    """A batch that is stored; `data` has one entry for each item, in order."""

    id: str
    data: list[Accepted]


class PreparedRequest(TypedDict):
    """What would be sent, without credentials."""

    method: str
    endpoint: str
    headers: dict[str, str]
    payload: Any


class Link(TypedDict):
    """What one link of the chain would do: `passed`, or why the call would end here."""

    link: str
    ms: float
    result: str
    message: str | None
    note: Any


class ExecutionDryRun(TypedDict):
    """What an execution would do."""

    would_call: bool
    links: list[Link]
    request: PreparedRequest | None
    curl: str | None
    curl_note: str | None
