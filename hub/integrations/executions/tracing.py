"""The trace that an execution belongs to (W3C Trace Context, Level 1): taken up at the door, sent on to the service."""

from __future__ import annotations

import re
import secrets

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


def continue_trace(traceparent: str | None) -> str:
    """The trace context of what follows: the same trace under a new parent, or a new trace.

    Args:
        traceparent: the header as it came; one that cannot be read begins a new trace, as the standard demands.
    """
    found = None if traceparent is None else _FORM.fullmatch(traceparent)
    trace_id, flags = secrets.token_hex(16), "01"
    if found is not None and _is_of_its_version(found) and int(found[2], 16) and int(found[3], 16):
        trace_id, flags = found[2], found[4]
    return f"00-{trace_id}-{secrets.token_hex(8)}-{flags}"


def _is_of_its_version(found: re.Match[str]) -> bool:
    """Later versions may have more at the end, the present one has not; the last one is none."""
    return found[1] != "ff" and (found[1] != "00" or found[5] is None)
