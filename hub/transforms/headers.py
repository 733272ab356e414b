"""Which headers of the outgoing request a step may set or remove.

Promises: what the sender refuses (`hub.core.headers`) is refused here as well, so that a step fails when it is
saved and not when its request is sent; so are the headers that describe the body or the hub, and those for secrets.
"""

from __future__ import annotations

from hub.core.headers import MAX_VALUE_CHARACTERS, is_credential, is_refused, is_token, is_value

_MAX_NAME_CHARACTERS = 100
_HUBS_OWN = frozenset({"content-encoding", "content-type", "date", "user-agent"})


def name_fault(name: str) -> str | None:
    """Why a header may not be set or removed, to be read after the place; None when it may."""
    if len(name) > _MAX_NAME_CHARACTERS or not is_token(name):
        return f"is not a header name: 1 to {_MAX_NAME_CHARACTERS} letters, digits and !#$%&'*+-.^_`|~"
    if is_refused(name) or name.lower() in _HUBS_OWN:
        return "is a header that only the hub sets"
    if is_credential(name):
        return "is a header for secrets, which would be stored and shown in the clear here"
    return None


def value_fault(value: str) -> str | None:
    """What is wrong with a header's value, to be read after the place; None when it is fit. Never repeats it."""
    if len(value) > MAX_VALUE_CHARACTERS:
        return f"is over {MAX_VALUE_CHARACTERS} characters"
    if not is_value(value):
        return "has characters other than printable ASCII, spaces and tabs"
    return None
