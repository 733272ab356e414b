"""What an error of such a service means. Pure.

Sources: https://platform.openai.com/docs/guides/error-codes and https://platform.claude.com/docs/en/api/errors
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from hub.integrations.transports.quoting import quoted
from hub.net.outcome import ErrorClass, classify_status, status_message

if TYPE_CHECKING:
    from collections.abc import Mapping

# No waiting mends these, though some come with status 429.
_PAYMENT = frozenset(
    {
        "insufficient_quota",
        "billing_error",
        "billing_hard_limit_reached",
        "billing_not_active",
        "insufficient_balance",
    }
)
_LIMITS = frozenset({"rate_limit_error", "rate_limit_exceeded", "requests", "tokens", "too_many_requests"})
_BUSY = frozenset(
    {
        "overloaded_error",
        "overloaded",
        "engine_overloaded",
        "engine_overloaded_error",
        "server_overloaded",
        "server_is_overloaded",
        "service_unavailable",
        "service_unavailable_error",
        "slow_down",
    }
)
_CREDENTIALS = frozenset({"authentication_error", "invalid_api_key", "invalid_authentication"})
_FAULTS = frozenset({"api_error", "server_error", "internal_error", "internal_server_error", "timeout_error"})
_STATUSES = {401: ErrorClass.UNAUTHORIZED, 429: ErrorClass.RATE_LIMITED} | dict.fromkeys(
    (503, 529), ErrorClass.PROVIDER_BUSY
)
_MILLISECONDS = re.compile(r"\d{1,9}(?:\.\d{1,9})?", re.ASCII)


def verdict(status: int | None, error: Mapping[str, Any]) -> tuple[ErrorClass, str]:
    """Class and sentence of an error.

    Args:
        status: of the answer; a success when the error came inside of it.
        error: the service's error object; empty when it gave none.
    """
    code = error.get("code")
    if status is not None and classify_status(status) is None and isinstance(code, int) and 400 <= code < 600:
        # Services in front of others tell their status inside of a success.
        status = code
    words = _words(error)
    told = _told(error)
    kind = classify_status(status) if status is not None else None
    message = f"The service answered: {told}" if told else status_message(status or 0)
    return _class_of(status, words, kind), message or "The service answered with an error."


def retry_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The wait that the answer asks for, as `Retry-After` in whole seconds; OpenAI also tells it in milliseconds."""
    given = headers.get("retry-after", "").strip()
    exact = headers.get("retry-after-ms", "").strip()
    if _MILLISECONDS.fullmatch(given):
        return {"retry-after": str(math.ceil(float(given)))}
    if not given and _MILLISECONDS.fullmatch(exact):
        return {"retry-after": str(math.ceil(float(exact) / 1000))}
    return {}


def _class_of(status: int | None, words: frozenset[str], kind: ErrorClass | None) -> ErrorClass:
    by_word = (
        (_PAYMENT, ErrorClass.PROVIDER_ERROR),
        (_BUSY, ErrorClass.PROVIDER_BUSY),
        (_LIMITS, ErrorClass.RATE_LIMITED),
        (_CREDENTIALS, ErrorClass.UNAUTHORIZED),
    )
    for known, found in by_word:
        if words & known:
            return found
    if status in _STATUSES:
        return _STATUSES[status]
    # In a stream the status came before the error.
    inside = ErrorClass.HTTP_5XX if words & _FAULTS else ErrorClass.PROVIDER_ERROR
    return kind or inside


def _words(error: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(
        value.lower() for value in (error.get("type"), error.get("code")) if isinstance(value, str)
    )


def _told(error: Mapping[str, Any]) -> str:
    """One sentence of the service's own."""
    message = error.get("message")
    text = quoted(message, 500) if isinstance(message, str) else ""
    names = [value for value in (error.get("type"), error.get("code")) if isinstance(value, str) and value]
    shown = ", ".join(dict.fromkeys(quoted(name, 64) for name in names))
    if not text:
        return f"{shown}." if shown else ""
    return f"{text} ({shown})." if shown else f"{text}."
