"""Versions of what is changed, as `ETag` and `If-Match` (RFC 9110, 8.8.3 and 13.1.1): no change is lost unseen."""

from __future__ import annotations

import re

from hub.core.errors import Conflict, FieldError, Invalid

_TAG = re.compile(r'"(\d{1,9})"')


class Stale(Conflict):
    """Somebody else changed it since the caller read it."""

    status = 412
    code = "precondition_failed"
    title = "Changed meanwhile"


def etag_of(version: int) -> str:
    """The tag of a version: `"3"`."""
    return f'"{version}"'


def check_version(if_match: str | None, version: int) -> None:
    """Refuse a change of what changed since the caller read it.

    Args:
        if_match: the header as it came; None asks for nothing.
        version: what is stored, locked.

    Raises:
        Stale: the version is another one.
        Invalid: the header has no tag of ours.
    """
    if if_match is None or if_match.strip() == "*":
        return
    tags = [one.strip() for one in if_match.split(",")]
    # Weak tags never match here (RFC 9110, 13.1.1), and the hub makes none.
    found = [_TAG.fullmatch(one) for one in tags]
    if not all(found):
        message = f"must be `ETag` as it was received, such as {etag_of(3)}"
        raise Invalid(f"If-Match {message}.", fields=(FieldError("header.If-Match", message),))
    if version not in {int(one[1]) for one in found if one}:
        message = f"it is version {version} now: read it again, then change it"
        raise Stale(f"It was changed meanwhile; {message}.", fields=(FieldError("header.If-Match", message),))
