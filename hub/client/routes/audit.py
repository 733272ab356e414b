"""The audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.client.calls import Calls

if TYPE_CHECKING:
    from hub.client.results import AuditEntry, Page


class AuditCalls(Calls):
    """The audit log."""

    def list_audit(
        self,
        *,
        subject: str | None = None,
        action: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[AuditEntry]:
        """A page of what was changed, and of calls that access rules refused.

        Args:
            subject: only what happened to this, such as `int_…`.
            action: only this, such as `integration.changed`.
            limit: at most so many.
            cursor: `next_cursor` of the page before.
        """
        page: Page[AuditEntry] = self._get(
            "/v1/audit", subject=subject, action=action, limit=limit, cursor=cursor
        )
        return page
