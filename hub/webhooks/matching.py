"""Which endpoints an event goes to. Pure."""

from __future__ import annotations

import re

from hub.core.errors import FieldError, Invalid

#: Dotted words; the wildcard form is for endpoints only.
_SEGMENT = r"[A-Za-z0-9_\-]+"
EVENT_TYPE = re.compile(rf"{_SEGMENT}(\.{_SEGMENT})*")
_LABEL = re.compile(r"[A-Za-z0-9_.:/\-]{1,64}")
MAX_LABELS = 20
LABEL_RULE = "must be 1 to 64 letters, digits, `_`, `-`, `.`, `:` or `/`"
_PATTERN = re.compile(rf"\*|{_SEGMENT}(\.{_SEGMENT})*(\.\*)?")


def check_event_type(text: str, *, field: str) -> str:
    """Accept an event type such as `invoice.paid`.

    Raises:
        Invalid: it is not dotted words of letters, digits, `_` and `-`, at most 128 characters.
    """
    if len(text) > 128 or EVENT_TYPE.fullmatch(text) is None:
        message = "must be dotted words of letters, digits, `_` and `-`, such as `invoice.paid`, up to 128 characters"
        raise Invalid(f"{field} {message}.", fields=(FieldError(field, message),))
    return text


def is_label(text: str) -> bool:
    """Is it a label such as `customer:42`?"""
    return _LABEL.fullmatch(text) is not None


def is_pattern(text: str) -> bool:
    """Is it an event type, a prefix such as `invoice.*`, or `*`?"""
    return len(text) <= 128 and _PATTERN.fullmatch(text) is not None


def matches(patterns: tuple[str, ...], event_type: str) -> bool:
    """Does one of an endpoint's patterns take this event type?"""
    for pattern in patterns:
        if pattern in {"*", event_type}:
            return True
        if pattern.endswith(".*") and event_type.startswith(pattern[:-1]):
            return True
    return False
