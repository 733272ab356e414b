"""The trace that an event or execution belongs to (W3C Trace Context, Level 1).

It is taken up at the door, goes with the event through deliveries, flows and their executions, and is sent on to
receivers and services.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uuid

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


def continue_trace(traceparent: str | None) -> str:
    """The trace context of what follows: the same trace under a new parent, or a new trace.

    Args:
        traceparent: the header as it came; one that cannot be read begins a new trace, as the standard demands.
    """
    trace_id, flags = _read(traceparent) or (secrets.token_hex(16), "01")
    return f"00-{trace_id}-{secrets.token_hex(8)}-{flags}"


def take_trace(traceparent: str | None, *, trusted: bool = True) -> str | None:
    """The trace context of an event that came in a request; None when it brought none that can be read.

    Args:
        traceparent: the request's header, as it came.
        trusted: False takes no more than the trace's id of a stranger.
    """
    found = _read(traceparent)
    if found is None:
        return None
    return f"00-{found[0]}-{secrets.token_hex(8)}-{found[1] if trusted else '01'}"


def event_trace(event_id: uuid.UUID, traceparent: str | None) -> str:
    """The trace context of an event: what is stored of it, else one made of its id, always the same.

    So every event has a trace from its intake on, and nothing is written for it: a UUIDv7 is as good as any 16 bytes.

    Args:
        event_id: the event's row.
        traceparent: what is stored.
    """
    if traceparent is not None:
        return traceparent
    digits = event_id.hex
    # The second half has the variant's bits, so it is never zero.
    return f"00-{digits}-{digits[16:]}-01"


def trace_id_of(traceparent: str) -> str:
    """The id in a trace context of ours."""
    return traceparent[3:35]


def _read(traceparent: str | None) -> tuple[str, str] | None:
    """Id and flags; None when it is no trace context."""
    found = None if traceparent is None else _FORM.fullmatch(traceparent)
    if found is None or not _is_of_its_version(found) or not int(found[2], 16) or not int(found[3], 16):
        return None
    return found[2], found[4]


def _is_of_its_version(found: re.Match[str]) -> bool:
    """Later versions may have more at the end, the present one has not; the last one is none."""
    return found[1] != "ff" and (found[1] != "00" or found[5] is None)
