"""What a replay looks for, read from its row or from a request. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.db.states import FINISHED, State
from hub.transforms import Filter, compile_filter
from hub.webhooks.matching import matches

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection
    from datetime import datetime

#: Kinds that look at deliveries; the others look at events.
OF_DELIVERIES = frozenset({"failed", "filter"})
#: Kinds that make the deliveries that are not there.
MAKING = frozenset({"missing", "all"})
RESPONSE = re.compile(r"none|[1-5](xx|\d\d)")


@dataclass(frozen=True, slots=True)
class Criteria:
    """What is sent again.

    Args:
        tenant_id: whose.
        kind: `failed`, `missing`, `filter` or `all`.
        endpoint_id: to one endpoint; None: to all.
        since, until: of events that were accepted in this time, the end not included.
        states: deliveries that ended so; `due`: that wait for a retry.
        event_types: event types or prefixes; empty: any.
        labels: events that carry one of them; empty: any.
        response: what the last attempt was answered with, such as `5xx`, `404` or `none`; empty: anything.
        filter: holds for the event.
    """

    tenant_id: uuid.UUID
    kind: str
    endpoint_id: uuid.UUID | None
    since: datetime
    until: datetime
    states: frozenset[State]
    event_types: tuple[str, ...] = ()
    labels: frozenset[str] = frozenset()
    response: tuple[str, ...] = ()
    filter: Filter | None = None

    @classmethod
    def of(cls, row: Any) -> Criteria:
        """Read them from anything with the columns of the table `replay`.

        Raises:
            Invalid: the filter is wrong; its place begins with `filter`.
        """
        states = frozenset(map(State, row.states)) if row.kind in OF_DELIVERIES else FINISHED
        return cls(
            row.tenant_id,
            row.kind,
            row.endpoint_id,
            row.since,
            row.until,
            states if row.kind != "missing" else frozenset(),
            tuple(row.event_types),
            frozenset(row.labels),
            tuple(row.response),
            None if row.filter is None else compile_filter(row.filter),
        )

    @property
    def about_events(self) -> bool:
        """The event has to be looked at, not only the delivery."""
        return bool(self.event_types or self.labels or self.filter)

    def takes(self, event_type: str, labels: Collection[str]) -> bool:
        """Is it an event of these types and labels?"""
        return (not self.event_types or matches(self.event_types, event_type)) and (
            not self.labels or not self.labels.isdisjoint(labels)
        )

    def answered_so(self, status: int | None) -> bool:
        """Was the last attempt answered with what is looked for? None: there was no answer."""
        if status is None:
            return "none" in self.response
        return str(status) in self.response or f"{status // 100}xx" in self.response
