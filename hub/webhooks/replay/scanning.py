"""Looking for what a replay sends again, page by page, from any place where it stopped.

Ids are ordered by time, and a delivery's id lies beside its event's, so a range of time is a range of ids and every
page is read through an index. Nothing is written here: a dry run and a job look with the same eyes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hub.webhooks.replay.criteria import OF_DELIVERIES
from hub.webhooks.replay.delivery_scan import DeliveryScan
from hub.webhooks.replay.event_scan import EventScan

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hub.webhooks.replay.audience import Audience
    from hub.webhooks.replay.criteria import Criteria
    from hub.webhooks.replay.pages import Page, Position


class Scan(Protocol):
    """Looks through the rows of one transaction."""

    def page(self, at: Position, want: int) -> Page:
        """Look at the next rows.

        Args:
            at: where the last page ended.
            want: stop when so many were selected; at least 1.
        """
        ...

    def fraction(self, at: Position) -> float:
        """How much of the whole was looked at: 0 to 1, by time and number of endpoints."""
        ...


def scan_of(conn: Connection, criteria: Criteria, audience: Audience) -> Scan:
    """The scan for a kind of replay.

    Args:
        conn: a connection inside a transaction.
        criteria: what to look for.
        audience: the endpoints of today.
    """
    kind = DeliveryScan if criteria.kind in OF_DELIVERIES else EventScan
    return kind(conn, criteria, audience)
