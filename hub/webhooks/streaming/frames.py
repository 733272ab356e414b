"""What a stream writes: server-sent events (WHATWG HTML, "Server-sent events"). Pure."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from hub.core.ids import Kind, format_id
from hub.webhooks.envelope import Envelope

if TYPE_CHECKING:
    import uuid

    from sqlalchemy import Row

#: How long a client waits before it connects again, milliseconds.
_RETRY_MS = 1000


def opening(resume_from: uuid.UUID) -> bytes:
    """The first bytes: from when on to resume, even if no event ever comes."""
    return f"retry: {_RETRY_MS}\n".encode() + heartbeat(resume_from)


def heartbeat(resume_from: uuid.UUID) -> bytes:
    """A comment that keeps the connection open, and an `id` without data, which moves the place to resume from."""
    return f": still here\nid: {format_id(Kind.MESSAGE, resume_from)}\n\n".encode()


def event_frame(row: Row[Any]) -> bytes:
    """One event: the body of its deliveries with what their headers say in front, `id` and `traceparent`.

    A carriage return ends a line of the stream and comes out as a line feed; so data that has one (it can only be white
    space between JSON's tokens) goes along in base64 as well.

    Args:
        row: of `store.load_bodies`.
    """
    envelope = Envelope.of(row, traceparent=row.traceparent)
    body = envelope.body.decode()
    if "\r" in envelope.data:
        exact = base64.b64encode(envelope.data.encode()).decode()
        body = body[:-1].replace("\r\n", "\n").replace("\r", "\n") + f',"data_base64":"{exact}"}}'
    lines = body[1:].replace("\n", "\ndata: ")
    return (
        f"id: {format_id(Kind.MESSAGE, row.id)}\nevent: {row.type}\n"
        f'data: {{"id":"{envelope.webhook_id}","traceparent":"{envelope.traceparent}",{lines}\n\n'
    ).encode()
