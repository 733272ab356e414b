"""Sources, and what providers sent to them."""

from __future__ import annotations

from typing import Any, Literal, TypedDict


class Source(TypedDict):
    """Where a provider sends its webhooks to: `url`."""

    id: str
    name: str
    description: str
    url: str
    verifier: dict[str, Any]
    secrets: list[dict[str, str | None]]
    event_type: str
    dedupe_by: Literal["id", "body"]
    dedupe_window_seconds: int
    ip_allow_list: list[str]
    response: dict[str, Any]
    metadata: dict[str, str]
    status: Literal["active", "paused"]
    warning: str | None
    version: int
    created_at: str
    updated_at: str


class SourceRequest(TypedDict):
    """One request of a provider, with the verdict."""

    id: str
    source: str
    received_at: str
    method: str
    path: str
    query: str
    peer: str | None
    outcome: Literal["accepted", "duplicate", "handshake", "rejected"]
    reason: str
    detail: str
    provider_event_id: str | None
    provider_event_type: str | None
    event: str | None
    body_bytes: int


class SourceRequestDetail(SourceRequest):
    """One request with its headers and body."""

    headers: dict[str, str]
    body: str | None
    body_encoding: Literal["text", "base64"] | None
