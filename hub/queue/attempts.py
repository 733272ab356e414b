"""From what a call brought to what the ledger keeps of it, the same for every pump."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.db.ledger import Attempt

if TYPE_CHECKING:
    from datetime import datetime

    from hub.net.outcome import Outcome


def attempt_of(outcome: Outcome, *, started_at: datetime, number: int, excerpt: int) -> Attempt:
    """The record of one call.

    Args:
        outcome: what it brought.
        started_at: when it was started.
        number: which attempt of its row.
        excerpt: bytes of the answer to keep; 0 keeps neither its body nor its headers.
    """
    timings = outcome.timings
    return Attempt(
        started_at=started_at,
        outcome="succeeded" if outcome.ok else "failed",
        number=number,
        error_class=None if outcome.error_class is None else outcome.error_class.value,
        message=outcome.message or None,
        status=outcome.status,
        peer=outcome.peer,
        dns_ms=timings.dns_ms,
        connect_ms=timings.connect_ms,
        tls_ms=timings.tls_ms,
        first_byte_ms=timings.first_byte_ms,
        total_ms=timings.total_ms,
        response_headers=outcome.headers if excerpt else None,
        response_body=outcome.body[:excerpt],
        truncated=outcome.truncated or len(outcome.body) > excerpt > 0,
    )


def interrupted_attempt(*, started_at: datetime, number: int) -> Attempt:
    """The record of a call that the worker's shutdown cut off: it may have reached the other side or not."""
    message = "The worker shut down before the answer came."
    return Attempt(started_at, "interrupted", number, error_class="internal", message=message)
