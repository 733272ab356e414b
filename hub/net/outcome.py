"""What came of one call to the outside, whichever client made it.

Promises: no secret and no URL query in `message`; header names in lower case; headers, body and message are
bounded. Leaves to others: whether to retry, and when (the retry decision of each feature reads an `Outcome`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_HEADERS = 100
MAX_HEADER_CHARACTERS = 32_768
MAX_RETRY_AFTER_SECONDS = 86_400.0

#: What a line of text cannot have, and halves of surrogate pairs, which neither UTF-8 nor Postgres can hold.
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]+")
_SECONDS = re.compile(r"\d{1,12}", re.ASCII)


class ErrorClass(StrEnum):
    """Why a call is not a success. Stored and shown, so a name never changes its meaning."""

    DNS = "dns"
    REFUSED_BY_POLICY = "refused_by_policy"
    CONNECT_REFUSED = "connect_refused"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS = "tls"
    TIMEOUT = "timeout"
    RESET = "reset"
    PROTOCOL = "protocol"
    TOO_LARGE = "too_large"
    HTTP_4XX = "http_4xx"
    HTTP_5XX = "http_5xx"
    REDIRECT = "redirect"
    INVALID_INPUT = "invalid_input"
    UNAUTHORIZED = "unauthorized"
    RATE_LIMITED = "rate_limited"
    PROVIDER_ERROR = "provider_error"
    PROVIDER_BUSY = "provider_busy"
    CANCELLED = "cancelled"
    TRANSFORM = "transform"
    INTERNAL = "internal"


NEVER_SENT = frozenset(
    {
        ErrorClass.DNS,
        ErrorClass.REFUSED_BY_POLICY,
        ErrorClass.CONNECT_REFUSED,
        ErrorClass.CONNECT_TIMEOUT,
        ErrorClass.TLS,
    }
)
"""Classes of calls whose request surely did not arrive: repeating one cannot double an effect."""


@dataclass(slots=True)
class Timings:
    """How long each phase lasted, in milliseconds; None when it did not happen (connection reused, no TLS).

    `first_byte_ms` runs from the start of the request on an open connection to the first byte of the answer.
    `total_ms` covers the whole call, redirects included; the phases are those of the last hop.
    """

    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    total_ms: float = 0.0


@dataclass(slots=True)
class Outcome:
    """The verdict of one call.

    Args:
        status: HTTP status; also present when the body failed after the status had come.
        error_class: None means success.
        message: a sentence for a person; empty on success.
        headers: lower-case names; repeated ones joined with `, `; capped in count and size.
        body: decoded bytes up to the caller's cap.
        truncated: the answer was longer than `body`.
        timings: per phase.
        peer: the IP address that answered.
    """

    status: int | None
    error_class: ErrorClass | None
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    truncated: bool = False
    timings: Timings = field(default_factory=Timings)
    peer: str | None = None

    @property
    def ok(self) -> bool:
        """The other side took the call: a 2xx answer that was read without a fault."""
        return self.error_class is None


def classify_status(status: int) -> ErrorClass | None:
    """The class of a complete answer: None for 2xx, `protocol` for a number that is no final HTTP status."""
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return ErrorClass.REDIRECT
    if 400 <= status < 500:
        return ErrorClass.HTTP_4XX
    if 500 <= status < 600:
        return ErrorClass.HTTP_5XX
    return ErrorClass.PROTOCOL


def status_message(status: int) -> str:
    """The sentence that goes with `classify_status`."""
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return f"The answer was a redirect ({status}), which is not followed."
    return f"The answer was status {status}."


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """The wait that the answer asks for (RFC 9110, 10.2.3), in seconds from `now`, at most 24 hours.

    Args:
        headers: with lower-case names, as in `Outcome.headers`.
        now: timezone-aware.

    Returns:
        None when there is no such header or it makes no sense; 0 for a date in the past.
    """
    value = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        return min(float(value), MAX_RETRY_AFTER_SECONDS)
    try:
        at = parsedate_to_datetime(value)
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        wait = (at - now).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(wait, 0.0), MAX_RETRY_AFTER_SECONDS)


def safe_text(text: str, limit: int = 300) -> str:
    """Text that came from a library or from outside, fit to be stored: one line, no control characters, valid UTF-8."""
    return _CONTROL.sub(" ", text)[:limit].strip()


def collect_headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Received header lines as `Outcome.headers`; what is over the caps is left out."""
    found: dict[str, str] = {}
    room = MAX_HEADER_CHARACTERS
    for name, value in pairs:
        room -= len(name) + len(value)
        if room < 0:
            break
        key = name.lower()
        # A NUL or another control character could not be stored as text.
        clean = value if value.isprintable() else _CONTROL.sub(" ", value)
        if key in found:
            found[key] = f"{found[key]}, {clean}"
        elif len(found) < MAX_HEADERS:
            found[key] = clean
    return found
