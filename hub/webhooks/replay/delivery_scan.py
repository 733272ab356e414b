"""Looking through deliveries, for `failed` and `filter`: from endpoint to endpoint, and within each by id."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hub.core.ids import floor_uuid
from hub.db.states import State
from hub.webhooks.replay import scan_store
from hub.webhooks.replay.documents import Documents
from hub.webhooks.replay.pages import Page, Position, Selected, bounds, fraction_of_time

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

    from hub.transforms import Filter
    from hub.webhooks.replay.audience import Audience, Member
    from hub.webhooks.replay.criteria import Criteria

#: Deliveries of one page, and of one for each of which its last attempt is looked up.
_ROWS = 1_000
_ROWS_WITH_ATTEMPTS = 250
#: Endpoints that one page passes.
_ENDPOINTS = 50
#: Why a delivery was skipped because of its endpoint's filter.
_FILTERED = "filtered"
#: Clocks of the machines that make ids differ by less.
_SKEW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class DeliveryScan:
    """See `hub.webhooks.replay.scanning`."""

    conn: Connection
    criteria: Criteria
    audience: Audience

    def page(self, at: Position, want: int) -> Page:
        """Look at the next rows; see `scanning.Scan`."""
        low, high = bounds(self.criteria)
        page = Page(at)
        room = _ROWS_WITH_ATTEMPTS if self.criteria.response else _ROWS
        endpoint_id, after = at
        if endpoint_id is None or endpoint_id not in self.audience.members:
            endpoint_id, after = self.audience.after(endpoint_id), None
        for _ in range(_ENDPOINTS):
            if endpoint_id is None or room <= 0:
                break
            rows = scan_store.page_of_deliveries(
                self.conn, self.criteria.tenant_id, endpoint_id, after=after or low, before=high, limit=room
            )
            judged = self._take(rows, self.audience.members[endpoint_id], want, page)
            if judged < len(rows) or len(rows) == room:
                return page
            room -= len(rows)
            endpoint_id, after = self.audience.after(endpoint_id), None
            if endpoint_id is not None:
                page.position = Position(endpoint_id)
        page.finished = endpoint_id is None
        return page

    def fraction(self, at: Position) -> float:
        """How much of the whole was looked at."""
        if at.endpoint_id is None or not len(self.audience):
            return 0.0
        done = self.audience.passed(at.endpoint_id) + fraction_of_time(self.criteria, at.row_id)
        return min(1.0, done / len(self.audience))

    def _take(self, rows: Sequence[Row[Any]], member: Member, want: int, page: Page) -> int:
        """Put what is wanted of these rows onto the page; how many were looked at."""
        passing, judged = self._judge(self._candidates(rows), member)
        for index, row in enumerate(rows):
            if len(page.selected) >= want or row.id == judged:
                return index
            page.scanned += 1
            page.position = Position(member.id, row.id)
            if row.id not in passing:
                continue
            if State(row.state) in self.criteria.states:
                page.selected.append(Selected(row.message_id, member.id, row.id, row.state))
            else:
                page.waiting += 1
        return len(rows)

    def _candidates(self, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
        """Those that ended, and were answered, as is wanted; and those that wait for a retry, wanted or not."""
        candidates = [
            row for row in rows if row.waits or State(row.state) in self.criteria.states - {State.DUE}
        ]
        if not self.criteria.response or not candidates:
            return candidates
        since = floor_uuid(self.criteria.since - _SKEW)
        statuses = scan_store.last_statuses(self.conn, [row.id for row in candidates], since=since)
        return [
            row for row in candidates if row.id in statuses and self.criteria.answered_so(statuses[row.id])
        ]

    def _judge(
        self, candidates: Sequence[Row[Any]], member: Member
    ) -> tuple[set[uuid.UUID], uuid.UUID | None]:
        """Which of them are about events that are wanted, and the first one that is for the next page."""
        asked = [row for row in candidates if self._asks(row)]
        if not asked:
            return {row.id for row in candidates}, None
        events = scan_store.describe_events(
            self.conn, self.criteria.tenant_id, {row.message_id for row in asked}
        )
        documents = Documents(self.conn)
        wanted: list[tuple[Row[Any], list[Filter]]] = []
        for row in candidates:
            filters = self._filters(row, member)
            event = events.get(row.message_id)
            if self._asks(row) and (event is None or not self.criteria.takes(event.type, event.labels)):
                continue
            # What its endpoint's filter refused goes if that would take it now; a filter that is broken takes nothing.
            if row.reason == _FILTERED and not member.readable:
                continue
            if filters and event is not None:
                documents.want(event.id, event.size)
            wanted.append((row, filters))
        documents.load()
        passing: set[uuid.UUID] = set()
        for row, filters in wanted:
            if filters and row.message_id not in documents:
                return passing, row.id
            if documents.pass_all(row.message_id, filters):
                passing.add(row.id)
        return passing, None

    def _asks(self, row: Row[Any]) -> bool:
        """Does it depend on the event?"""
        return self.criteria.about_events or row.reason == _FILTERED

    def _filters(self, row: Row[Any], member: Member) -> list[Filter]:
        its_own = member.filter if row.reason == _FILTERED else None
        return [one for one in (self.criteria.filter, its_own) if one is not None]
