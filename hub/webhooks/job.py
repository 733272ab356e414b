"""One call to an endpoint: a delivery that was claimed, or a batch of them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from hub.net.outcome import Outcome
from hub.webhooks.envelope import Envelope
from hub.webhooks.target import Target

if TYPE_CHECKING:
    from hub.db.states import State

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class NotSent:
    """Why a delivery ended without a call.

    Args:
        state: `skipped` or `failed`.
        reason: one word.
        message: for a failed one, what a person has to know.
    """

    state: State
    reason: str
    message: str = ""


class Job(msgspec.Struct, eq=False):
    """One delivery, claimed.

    Attributes:
        from_lane: it was claimed from its lane, not at fan-out.
        probe: its endpoint's breaker is half open.
        body: what is sent; the message's own until a transformation makes another.
        headers: what a transformation sets on the request; None removes one.
        token: the access token that it carries; never shown.
        verdict: it was not sent, whatever came of the call of its batch.
        request_headers: what was sent, as JSON, secrets masked.
        others: the rest of its batch.
    """

    id: uuid.UUID
    tenant_id: uuid.UUID
    fence: int
    attempt: int
    step: int
    target: Target
    envelope: Envelope
    body: bytes
    replay_no: int = 0
    from_lane: bool = False
    probe: bool = False
    headers: Mapping[str, str | None] | None = None
    verdict: NotSent | Outcome | None = None
    token: str | None = None
    started_at: datetime = _NEVER
    request_headers: msgspec.Raw | None = None
    others: tuple[Job, ...] = ()

    @property
    def size(self) -> int:
        """Bytes that its message takes in memory."""
        return len(self.envelope.body)


#: A job and what came of it; None: it was cut off at shutdown.
Result = tuple[Job, Outcome | NotSent | None]
