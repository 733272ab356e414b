"""What would happen to an event if it were published: which endpoints would get it, and what exactly; or why not."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec

from hub.core.ids import Kind, format_id
from hub.integrations.executions.tracing import event_trace
from hub.webhooks.envelope import Envelope, body_of, timestamp_of
from hub.webhooks.job import Job, NotSent
from hub.webhooks.request import build, transform

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from hub.transforms.sandbox import Sandbox
    from hub.webhooks.events import Event
    from hub.webhooks.target import Target

_NOBODY = uuid.UUID(int=0)


def envelope_of(event: Event, now: datetime) -> Envelope:
    """The event as it would be sent if it were accepted now."""
    stamp = timestamp_of(now)
    return Envelope(
        event.row_id,
        event.event_id or format_id(Kind.MESSAGE, event.row_id),
        "http",
        event.type,
        stamp,
        event.data,
        body_of(event.type, stamp, event.data),
        traceparent=event_trace(event.row_id, None),
    )


def dry_run(event: Event, targets: Iterable[Target], sandbox: Sandbox, now: datetime) -> list[dict[str, Any]]:
    """Judge an event for each endpoint. Nothing is written or sent.

    Args:
        event: the event.
        targets: the endpoints to ask.
        sandbox: where expressions are evaluated.
        now: stands in the body and the signature.

    Returns:
        For each endpoint: `endpoint`, `name`, `would_send`, `reason` why not, the `filter`'s findings, and the
        `request` with its headers (signatures masked) and body.
    """
    envelope = envelope_of(event, now)
    return [_one(event, envelope, target, sandbox, now) for target in targets]


def _one(event: Event, envelope: Envelope, target: Target, sandbox: Sandbox, now: datetime) -> dict[str, Any]:
    found: dict[str, Any] = {
        "endpoint": format_id(Kind.ENDPOINT, target.id),
        "name": target.name,
        "would_send": False,
        "reason": None,
        "message": None,
        "filter": [],
        "request": None,
    }
    if not target.takes(event.type):
        return found | {"reason": "event_type"}
    if target.labels and not target.labels & set(event.options.labels):
        return found | {"reason": "labels"}
    if target.filter is not None:
        found["filter"] = [asdict(finding) for finding in target.filter.explain(envelope.document())]
        if not target.filter.matches(envelope.document()):
            return found | {"reason": "filtered"}
    job = Job(_NOBODY, _NOBODY, 1, 1, 0, target, envelope, envelope.body)
    if target.pipeline is not None:
        transform(job, sandbox)
    if job.verdict is not None:
        if isinstance(job.verdict, NotSent):
            return found | {"reason": job.verdict.reason, "message": job.verdict.message or None}
        return found | {"reason": "internal", "message": job.verdict.message}
    if target.hold is not None:
        found["reason"] = target.hold
    built = build(job, int(now.timestamp()))
    request = {"url": target.url, "headers": msgspec.json.decode(built.shown), "body": built.body.decode()}
    return found | {"would_send": target.hold is None, "request": request}
