"""What becomes of one request of a provider: handshake, verdict, event. No I/O but that of the certificates.

The order: is it a handshake, then its reply is the answer; else is it genuine, then it is an event. Whatever it is,
it becomes a row for the inspector; how many of those that are no events are written is the caller's to bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.core.ids import new_uuid
from hub.integrations.executions.tracing import take_trace
from hub.sources.content import event_data, event_type
from hub.sources.intake import Judged, key_of
from hub.sources.redaction import kept_headers, kept_query, storable
from hub.sources.store import NewInbound
from hub.sources.verification import Verdict
from hub.webhooks.events import make_event

if TYPE_CHECKING:
    from datetime import datetime

    from hub.core.settings import Settings
    from hub.sources.certificates import CertificateShelf
    from hub.sources.directory import Source
    from hub.sources.verification import Received, Reply

#: The body of a request that was not verified is kept up to this size, bytes.
MAX_UNVERIFIED_BODY = 65_536
_MAX_PATH = 2_048
_MAX_WORD = 256
_MAX_SENTENCE = 1_024
_URL_HINT = (
    " This sender signs the address that it called, and HUB_PUBLIC_URL is not set, so the address was taken from the"
    " request's Host; a proxy may have changed that."
)
_UNREADABLE = Verdict(
    ok=False,
    reason="source_unreadable",
    detail="The stored verifier of this source cannot be read; set it anew.",
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request with what the connection tells of it.

    Args:
        received: what is verified.
        path: as it was called.
        peer: who called, if that can be told.
        at: when.
    """

    received: Received
    path: str
    peer: str | None
    at: datetime


async def judge(
    source: Source, arrival: Arrival, shelf: CertificateShelf, settings: Settings
) -> tuple[Judged, Verdict, Reply | None]:
    """Judge a request.

    Args:
        source: what it is for.
        arrival: the request.
        shelf: certificates; one that is missing is fetched, which is the only wait.
        settings: caps of JSON, and whether the public address is known.

    Returns:
        What to write, the verdict, and the reply if it was a handshake.
    """
    received = arrival.received
    secrets = source.secrets_at(arrival.at.timestamp())
    verifier = source.verifier
    if verifier is None:
        return rejection(source, arrival, _UNREADABLE), _UNREADABLE, None
    reply = verifier.handshake(received, secrets, arrival.at)
    if reply is not None:
        verdict = Verdict(ok=reply.status < 400, reason=reply.handshake or "handshake", detail="A handshake.")
        outcome = "handshake" if verdict.ok else "rejected"
        return Judged(row_of(source, arrival, verdict, outcome)), verdict, reply
    verdict = verifier.verify(received, secrets, arrival.at)
    if (url := shelf.take_missed()) is not None:
        await shelf.bring(url)
        verdict = verifier.verify(received, secrets, arrival.at)
        shelf.take_missed()
    if not verdict.ok:
        if source.signs_url and settings.public_url is None and verdict.reason == "signature_mismatch":
            verdict = Verdict(ok=False, reason=verdict.reason, detail=verdict.detail + _URL_HINT)
        return rejection(source, arrival, verdict), verdict, None
    return acceptance(source, arrival, verdict, settings), verdict, None


def rejection(source: Source, arrival: Arrival, verdict: Verdict) -> Judged:
    """A request that makes no event."""
    return Judged(row_of(source, arrival, verdict, "rejected"))


def acceptance(source: Source, arrival: Arrival, verdict: Verdict, settings: Settings) -> Judged:
    """A verified request with its event; what came is never refused for its form."""
    received = arrival.received
    data = event_data(
        received.headers,
        received.query,
        received.body,
        max_bytes=settings.api_max_body_bytes,
        max_depth=settings.api_max_json_depth,
    )
    made = make_event(event_type(source.event_type, source.name, verdict.event_type), data, None)
    key = key_of(verdict.event_id, received.body, source.dedupe_by) if source.window else None
    trace = take_trace(received.headers.get("traceparent"), trusted=False)
    return Judged(row_of(source, arrival, verdict, "accepted"), made, key, source.window, trace)


def row_of(source: Source, arrival: Arrival, verdict: Verdict, outcome: str) -> NewInbound:
    """A request as it is kept."""
    received = arrival.received
    secrets = [secret for secret, _ in source.secrets]
    size = len(received.body)
    kept = outcome == "accepted" or size <= MAX_UNVERIFIED_BODY
    return NewInbound(
        id=new_uuid(),
        tenant_id=source.tenant_id,
        source_id=source.id,
        received_at=arrival.at,
        method=received.method,
        path=storable(arrival.path, _MAX_PATH),
        query=kept_query(received.query, secrets),
        peer=arrival.peer,
        headers=kept_headers(received.headers, secrets),
        body=received.body if kept else None,
        body_bytes=size,
        outcome=outcome,
        reason=storable(verdict.reason, _MAX_WORD),
        detail=storable(verdict.detail, _MAX_SENTENCE),
        event_id=None if verdict.event_id is None else storable(verdict.event_id, _MAX_WORD),
        event_type=None if verdict.event_type is None else storable(verdict.event_type, _MAX_WORD),
    )
