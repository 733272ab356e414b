"""Replays."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

ReplayKind = Literal["failed", "missing", "filter", "all"]


class Replay(TypedDict):
    """A job that sends events again; `waiting` were left alone because they wait for a retry."""

    id: str
    kind: ReplayKind
    state: Literal["pending", "running", "paused", "done", "cancelled", "failed"]
    reason: str | None
    error: str | None
    endpoint: str | None
    since: str
    until: str
    states: list[str]
    event_types: list[str]
    labels: list[str]
    response: list[str]
    filter: dict[str, Any] | None
    rate: float
    progress: float
    scanned: int
    selected: int
    requeued: int
    waiting: int
    estimated_total: int | None
    worker: str | None
    created_at: str
    started_at: str | None
    finished_at: str | None


class ReplayDetail(Replay):
    """A job, with what became of the deliveries that it sent again."""

    outcomes: dict[str, int]
    outcomes_complete: bool
    held_endpoints: int


class ReplayDryRun(TypedDict):
    """What a replay would do; `complete` is false when the count was stopped early."""

    dry_run: Literal[True]
    total: int
    waiting: int
    counts: list[dict[str, Any]]
    sample: list[dict[str, Any]]
    scanned: int
    complete: bool
    held_endpoints: int
