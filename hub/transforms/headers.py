"""Which headers of the outgoing request a step may set or remove.

Promises: a name that passes is a token (RFC 9110, 5.6.2), does not change the request's framing or target and
is not one that the hub writes; a value that passes cannot split the request (RFC 9112, 11.1). Every header that
`hub.net.headers` refuses is refused here (a test compares the two), so that the sender never has to.
"""

from __future__ import annotations

import re

MAX_VALUE_CHARACTERS = 4096

_NAME = re.compile(r"[!#$%&'*+\-.^_\x60|~0-9A-Za-z]{1,100}")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_HUBS_OWN = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)
_HUBS_OWN_PREFIXES = ("proxy-", "webhook-")
_SECRET = frozenset({"authorization", "cookie"})


def name_fault(name: str) -> str | None:
    """Why a header may not be set or removed, to be read after the place; None when it may."""
    lower = name.lower()
    if not _NAME.fullmatch(name):
        return "is not a header name: 1 to 100 letters, digits and !#$%&'*+-.^_`|~"
    if lower in _HUBS_OWN or lower.startswith(_HUBS_OWN_PREFIXES):
        return "is a header that only the hub sets"
    if lower in _SECRET:
        return "is a header for secrets, which would be stored and shown in the clear here"
    return None


def value_fault(value: str) -> str | None:
    """What is wrong with a header's value, to be read after the place; None when it is fit. Never repeats it."""
    if len(value) > MAX_VALUE_CHARACTERS:
        return f"is over {MAX_VALUE_CHARACTERS} characters"
    if not _VALUE.fullmatch(value):
        return "has characters other than printable ASCII, spaces and tabs"
    return None
