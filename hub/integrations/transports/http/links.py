"""The header Link (RFC 8288, 3), as far as one relation is asked for."""

from __future__ import annotations

import re

# Each step takes at least one character and no two of them can take the same text in two ways.
_TARGET = re.compile(r"[\s,]*<([^<>]*)>")
_PARAMETER = re.compile(r"\s*;\s*([^\s=;,\"<>]*)\s*(?:=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;,\"<>]*)))?")


def target_of(header: str, relation: str) -> str | None:
    """The address of the first link with this relation; None without one, or when it points from elsewhere.

    Args:
        header: its value; repeated headers joined by commas.
        relation: in lower case, such as `next`.
    """
    position = 0
    while found := _TARGET.match(header, position):
        position = found.end()
        relations, anchored = None, False
        while parameter := _PARAMETER.match(header, position):
            position = parameter.end()
            name = parameter[1].lower()
            if name == "rel" and relations is None:
                relations = (parameter[2] or parameter[3] or "").lower().split()
            anchored |= name == "anchor"
        if relations is not None and relation in relations and not anchored:
            return found[1].strip()
    return None
