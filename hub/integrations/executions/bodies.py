"""Answers as they are stored and as they are shown."""

from __future__ import annotations

import sys
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from hub.core.errors import HubError
from hub.web.bodies import parse_strict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.net.outcome import Outcome

#: Nesting of an answer that is shown as JSON; a deeper one is shown as its text.
_SHOWN_DEPTH = 128
#: Where services say what they call a request, for their support; the first one that is there.
_REQUEST_IDS = (
    "x-request-id",
    "request-id",
    "x-amzn-requestid",
    "x-amz-request-id",
    "x-ms-request-id",
    "x-correlation-id",
    "cf-ray",
)


def encode_body(body: bytes) -> tuple[str, bool]:
    """An answer as it is stored: UTF-8 text as it is, anything else as base64 (the flag)."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return b64encode(body).decode(), True
    # Postgres has no text with U+0000.
    return (b64encode(body).decode(), True) if "\0" in text else (text, False)


def show_body(data: str | None, headers: Mapping[str, str] | None, *, base64: bool) -> tuple[Any, str]:
    """A stored answer as it is shown: a JSON value when it is JSON, and the name of the encoding."""
    if base64:
        return data, "base64"
    if data and "json" in (headers or {}).get("content-type", ""):
        # Strictly: what our own answer could not hold (halves of surrogate pairs, 1e999) is shown as it came.
        try:
            return parse_strict(data.encode(), max_bytes=sys.maxsize, max_depth=_SHOWN_DEPTH), "json"
        except HubError:
            pass
    return data, "text"


def error_of(outcome: Outcome, *, recoverable: bool) -> dict[str, Any] | None:
    """Why a call failed, as it is stored and shown; None when it did not."""
    if outcome.error_class is None:
        return None
    error = {"type": outcome.error_class.value, "message": outcome.message, "recoverable": recoverable}
    named = next((outcome.headers[name] for name in _REQUEST_IDS if name in outcome.headers), None)
    return error if named is None else error | {"request_id": named}
