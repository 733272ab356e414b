"""What is sent of one message: the same bytes to every endpoint and at every attempt. Pure."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from hub.core.ids import Kind, format_id
from hub.integrations.executions.tracing import event_trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

#: Messages of the hub's own: about endpoints and deliveries.
OPERATIONAL = "hub"


class Envelope(msgspec.Struct, eq=False):
    """A message, ready to be sent. Treat it as immutable.

    Args:
        message_id: its row.
        webhook_id: the publisher's id, or the message's.
        source: the door it came through.
        type: its event type.
        timestamp: when it was accepted, as it is printed.
        data: the publisher's JSON text.
        body: the bytes of the request.
        expires_at: what is not delivered by then is not sent any more.
        traceparent: W3C trace context that is sent with it.
        parsed: see `document`.
    """

    message_id: uuid.UUID
    webhook_id: str
    source: str
    type: str
    timestamp: str
    data: str
    body: bytes
    expires_at: datetime | None = None
    traceparent: str | None = None
    parsed: Any = None

    def document(self) -> Any:
        """The body as filters and transformations see it; parsed once. Treat it as immutable."""
        if self.parsed is None:
            self.parsed = json.loads(self.body)
        return self.parsed

    def ends_before(self, at: datetime) -> bool:
        """Is it not to be sent any more at that moment?"""
        return self.expires_at is not None and self.expires_at <= at

    @classmethod
    def of(
        cls, row: Row[Any], expires_at: datetime | None = None, traceparent: str | None = None
    ) -> Envelope:
        """Build it from a message row; `data` goes out byte for byte as it was published.

        Args:
            row: its `id`, `event_id`, `source`, `type`, `data` and `created_at`.
            expires_at: as it is stored.
            traceparent: as it is stored; without one, the trace is that of the event's id.
        """
        stamp = timestamp_of(row.created_at)
        return cls(
            row.id,
            row.event_id or format_id(Kind.MESSAGE, row.id),
            row.source,
            row.type,
            stamp,
            row.data,
            body_of(row.type, stamp, row.data),
            expires_at,
            event_trace(row.id, traceparent),
        )


def timestamp_of(at: datetime) -> str:
    """A moment as it stands in a body: ISO 8601, UTC, microseconds."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def body_of(event_type: str, timestamp: str, data: str) -> bytes:
    """The body of one event."""
    return f'{{"type":"{event_type}","timestamp":"{timestamp}","data":{data}}}'.encode()


def batch_body(items: Sequence[tuple[str, bytes]]) -> bytes:
    """The body of a batch: a list of events, each with its own `id` first.

    Args:
        items: the webhook-id and the body of each; what a transformation made may be any JSON text.
    """
    return b"[" + b",".join(_item(b'{"id":"' + key.encode() + b'"', body) for key, body in items) + b"]"


def _item(start: bytes, body: bytes) -> bytes:
    if not body.startswith(b"{"):
        return start + b',"data":' + body + b"}"
    return start + (b"}" if body == b"{}" else b"," + body[1:])
