"""Names and values of HTTP headers: what may go on the wire, and which names only the hub writes.

Promises: a name that `is_token` with a value that `is_value` cannot split the message (RFC 9112, 11.1), and a name
that is not `is_refused` changes neither its framing nor its target. Leaves to others: which further headers a user
may not set at their place, and the sentence that says so.
"""

from __future__ import annotations

import re

MAX_VALUE_CHARACTERS = 4096

_NAME = re.compile(r"[!#$%&'*+\-.^_\x60|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_REFUSED = frozenset(
    {
        "accept-encoding",  # the hub decodes gzip and nothing else
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_REFUSED_PREFIXES = ("proxy-", "webhook-")
_CREDENTIALS = frozenset({"authorization", "cookie"})


def is_token(text: str) -> bool:
    """True for what may be a header name or a method (RFC 9110, 5.6.2)."""
    return _NAME.fullmatch(text) is not None


def is_value(text: str) -> bool:
    """True for printable ASCII, spaces and tabs: narrower than RFC 9110, 5.5, which still knows other bytes."""
    return _VALUE.fullmatch(text) is not None


def is_refused(name: str) -> bool:
    """True for a header that only the hub writes: framing, target, hop-by-hop, and its own `webhook-*`."""
    lower = name.lower()
    return lower in _REFUSED or lower.startswith(_REFUSED_PREFIXES)


def is_credential(name: str) -> bool:
    """True for a header that carries a credential (RFC 9110, 11.6.2; RFC 6265, 4.2), which no setting shows."""
    return name.lower() in _CREDENTIALS
