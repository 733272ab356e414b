"""Definitions as documents: what is kept of each version, exported and applied again. Pure.

A document has the form of a request that creates the integration, without its secrets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Row

FIELDS = (
    "name", "description", "type", "protocol", "base_url", "settings", "auth", "tls", "headers", "timeout_seconds",
    "max_response_bytes", "follow_redirects", "retry_policy", "operations", "request_transform",
    "response_transform", "error_mapping", "rate_limit", "caching", "quota", "access", "data_policy", "logging",
    "health_check", "alerts", "status", "tags",
)  # fmt: skip
#: What cannot change once it is made.
FIXED = frozenset({"type", "protocol"})


def document_of(row: Row[Any]) -> dict[str, Any]:
    """The document of an integration."""
    document = {name: getattr(row, name) for name in FIELDS}
    # Stored as a 4-byte float: 0.1 comes back as 0.10000000149.
    document["timeout_seconds"] = round(row.timeout_seconds, 3)
    document["tags"] = list(row.tags)
    return document


def differences(before: Any, after: Any, path: str = "") -> list[dict[str, Any]]:
    """Where two documents differ: `path`, `before`, `after`; None where one has nothing. Lists are one value."""
    if isinstance(before, dict) and isinstance(after, dict):
        found = []
        for name in sorted(before.keys() | after.keys()):
            at = f"{path}.{name}" if path else name
            if name in before and name in after:
                found += differences(before[name], after[name], at)
            else:
                found.append({"path": at, "before": before.get(name), "after": after.get(name)})
        return found
    return [] if _same(before, after) else [{"path": path, "before": before, "after": after}]


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1 and 1.0 are one number, 1 and true are not."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def changes_to(present: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a document that have to change so that it says what is wanted."""
    return {
        name: value
        for name, value in wanted.items()
        if name not in FIXED and differences(present.get(name), value)
    }
