"""What a look at a page of rows brings, and where it stopped. Pure."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from hub.core.ids import floor_uuid

if TYPE_CHECKING:
    from hub.webhooks.replay.criteria import Criteria

#: The state of what is selected because there is no delivery yet.
MISSING = "missing"


class Position(NamedTuple):
    """Where a scan stands: everything up to there was looked at.

    Of a scan of deliveries: in this endpoint, after this delivery (None: before its first). Of a scan of events: after
    this event, or, with an endpoint, in it after this endpoint.
    """

    endpoint_id: uuid.UUID | None = None
    row_id: uuid.UUID | None = None


class Selected(NamedTuple):
    """One event for one endpoint that is to be sent again; without a delivery it is still to be made."""

    message_id: uuid.UUID
    endpoint_id: uuid.UUID
    delivery_id: uuid.UUID | None
    state: str


@dataclass(slots=True)
class Page:
    """What a look brought.

    Attributes:
        selected: in order.
        scanned: deliveries or events that were looked at.
        waiting: deliveries that match, and are passed over because they wait for a retry.
        position: where to go on.
        finished: there is nothing behind it.
    """

    position: Position
    selected: list[Selected] = field(default_factory=list)
    scanned: int = 0
    waiting: int = 0
    finished: bool = False


def bounds(criteria: Criteria) -> tuple[uuid.UUID, uuid.UUID]:
    """The ids of its time lie between these, neither included."""
    return before(floor_uuid(criteria.since)), floor_uuid(criteria.until)


def before(row_id: uuid.UUID) -> uuid.UUID:
    """The id right before this one."""
    return uuid.UUID(int=row_id.int - 1)


def fraction_of_time(criteria: Criteria, row_id: uuid.UUID | None) -> float:
    """Where an id lies between the beginning and the end of the time: 0 to 1."""
    if row_id is None:
        return 0.0
    first, end = floor_uuid(criteria.since).int >> 80, floor_uuid(criteria.until).int >> 80
    return min(1.0, max(0.0, ((row_id.int >> 80) - first) / max(1, end - first)))
