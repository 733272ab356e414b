"""The audit log."""

from __future__ import annotations

from typing import Any, TypedDict


class AuditEntry(TypedDict):
    """Who changed what, or what was refused; without an `actor` it was an operator, or the hub itself."""

    id: str
    at: str
    actor: str | None
    action: str
    subject: str
    details: dict[str, Any]
