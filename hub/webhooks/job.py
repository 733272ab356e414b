"""One call to an endpoint: a delivery that was claimed, or a batch of them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from hub.db.states import State
from hub.net.outcome import Outcome

if TYPE_CHECKING:
    from hub.webhooks.envelope import Envelope
    from hub.webhooks.target import Target


@dataclass(slots=True)
class Job:
    """One delivery, claimed.

    Attributes:
        from_lane: it was claimed from its lane, not at fan-out.
        probe: its endpoint's breaker is half open.
        size: bytes that are counted for it.
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
    replay_no: int = 0
    from_lane: bool = False
    probe: bool = False
    started_at: datetime = field(default=datetime.min.replace(tzinfo=UTC))
    request_headers: msgspec.Raw | None = None
    others: tuple[Job, ...] = ()

    @property
    def size(self) -> int:
        """Bytes that its body takes in memory."""
        return len(self.envelope.body)


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


#: A job and what came of it; None: it was cut off at shutdown.
Result = tuple[Job, Outcome | NotSent | None]
