"""Looking through events, for `missing` and `all`: by their ids, and within each by endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from hub.db.states import State
from hub.webhooks.replay import scan_store
from hub.webhooks.replay.documents import Documents
from hub.webhooks.replay.pages import MISSING, Page, Position, Selected, before, bounds, fraction_of_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

    from hub.transforms import Filter
    from hub.webhooks.replay.audience import Audience, Member
    from hub.webhooks.replay.criteria import Criteria

#: Events of one page, and events with their endpoints that are put together in it.
_ROWS = 1_000
_PAIRS = 1_000


class _Planned(NamedTuple):
    """An event with endpoints that take it, and whether those are all that are left of it."""

    event: Row[Any]
    members: Sequence[Member]
    complete: bool


@dataclass(frozen=True, slots=True)
class EventScan:
    """See `hub.webhooks.replay.scanning`."""

    conn: Connection
    criteria: Criteria
    audience: Audience

    def page(self, at: Position, want: int) -> Page:
        """Look at the next rows; see `scanning.Scan`."""
        low, high = bounds(self.criteria)
        after = low
        if at.row_id is not None:
            after = at.row_id if at.endpoint_id is None else before(at.row_id)
        page = Page(at)
        rows = scan_store.page_of_events(
            self.conn, self.criteria.tenant_id, after=after, before=high, limit=_ROWS
        )
        planned = self._plan(rows, at)
        # Whether an event was fanned out is read before its deliveries are: fan-out ends both at once.
        present = scan_store.find_deliveries(
            self.conn, [(one.event.id, member.id) for one in planned for member in one.members]
        )
        open_pairs = [
            (one.event, member)
            for one in planned
            for member in one.members
            if self._sends(present.get((one.event.id, member.id)))
        ]
        documents = self._documents(open_pairs)
        for one in planned:
            for member in one.members:
                row = present.get((one.event.id, member.id))
                filters = self._filters(member) if self._sends(row) else []
                if len(page.selected) >= want or (filters and one.event.id not in documents):
                    return page
                if self._sends(row) and documents.pass_all(one.event.id, filters):
                    delivery_id, state = (None, MISSING) if row is None else (row.id, row.state)
                    page.selected.append(Selected(one.event.id, member.id, delivery_id, state))
                page.position = Position(member.id, one.event.id)
            if one.complete:
                page.scanned += 1
                page.position = Position(None, one.event.id)
        page.finished = len(rows) < _ROWS and len(planned) == len(rows) and all(p.complete for p in planned)
        return page

    def fraction(self, at: Position) -> float:
        """How much of the whole was looked at."""
        return fraction_of_time(self.criteria, at.row_id)

    def _plan(self, rows: Sequence[Row[Any]], at: Position) -> list[_Planned]:
        """Events with the endpoints that take them, as many as fit."""
        planned: list[_Planned] = []
        room = _PAIRS
        for row in rows:
            if room <= 0:
                break
            members: list[Member] = []
            if row.replayable and self.criteria.takes(row.type, row.labels):
                takers = self.audience.takers(row.source, row.type)
                members = [one for one in takers if one.wants(row.labels)]
                if at.endpoint_id is not None and row.id == at.row_id:
                    members = [one for one in members if one.id > at.endpoint_id]
            planned.append(_Planned(row, members[:room], len(members) <= room))
            room -= len(members)
        return planned

    def _sends(self, row: Row[Any] | None) -> bool:
        """Is an event to be sent to an endpoint, given the delivery it has there?"""
        return row is None or State(row.state) in self.criteria.states

    def _filters(self, member: Member) -> list[Filter]:
        return [one for one in (self.criteria.filter, member.filter) if one is not None]

    def _documents(self, pairs: Sequence[tuple[Row[Any], Member]]) -> Documents:
        """What the filters of these need to see."""
        documents = Documents(self.conn)
        for event_id, size in {
            event.id: event.size for event, member in pairs if self._filters(member)
        }.items():
            documents.want(event_id, size)
        documents.load()
        return documents
