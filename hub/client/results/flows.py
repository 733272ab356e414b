"""Flows."""

from __future__ import annotations

from typing import Any, TypedDict


class Flow(TypedDict):
    """An event that starts an operation."""

    id: str
    name: str
    description: str
    event_types: list[str]
    labels: list[str]
    filter: dict[str, Any] | None
    integration: str
    operation: str
    mapping: list[Any]
    publish: list[dict[str, Any]]
    paused: bool
    version: int
    created_by: str | None
    created_at: str
    updated_at: str


class Published(TypedDict):
    """An event that a flow published, or why it could not be made."""

    execution: str
    event_type: str | None
    event: str | None
    why_not: str | None


class FlowTest(TypedDict):
    """What a sample event would start."""

    starts: bool
    why_not: str | None
    input: Any
    would_call: bool
    links: list[dict[str, Any]]
