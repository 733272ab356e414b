"""Group commit of publishes: those that arrive within a couple of milliseconds share one transaction."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from prometheus_client import Histogram
from sqlalchemy.exc import DataError, SQLAlchemyError

from hub.core.errors import HubError, Invalid, Unavailable
from hub.queue.contracts import DOORBELL_IDS, TaskName
from hub.web.group_commit import GroupCommit
from hub.webhooks.publishing import Publication, Receipt, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from hub.web.services import Ring

log = logging.getLogger(__name__)

#: Events that wait for a commit in one process; more are refused with 503 instead of filling memory.
_MAX_WAITING = 20_000
#: Events in one transaction.
_MAX_GROUP = 2_000

_group_size = Histogram(
    "hub_commit_events",
    "Events that shared one commit.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000),
)


class Committer:
    """Group commit for one event loop.

    Args:
        engine: the database.
        ring: the doorbell; must not block.
        window_seconds: how long a publish waits for company.
    """

    def __init__(self, engine: Engine, ring: Ring, *, window_seconds: float) -> None:
        self._engine = engine
        self._ring = ring
        self._groups: GroupCommit[Publication, list[Receipt]] = GroupCommit(
            self._write,
            window_seconds=window_seconds,
            what="events",
            max_group=_MAX_GROUP,
            max_waiting=_MAX_WAITING,
        )

    async def start(self) -> None:
        """Begin to commit."""
        await self._groups.start()

    async def stop(self) -> None:
        """Commit what waits, then end."""
        await self._groups.stop()

    async def publish(self, publication: Publication) -> list[Receipt]:
        """Commit the events of one request.

        Raises:
            IdempotencyKeyReused: its key was used with another body.
            Unavailable: too many wait, or the database does not answer.
        """
        return await self._groups.put(publication, count=len(publication.events))

    def _write(self, publications: Sequence[Publication]) -> Sequence[list[Receipt] | HubError]:
        """In a thread."""
        try:
            return self._write_together(publications)
        except DataError as error:
            if len(publications) > 1:
                # One request's data must not cost its neighbours their acceptance.
                return [answer for publication in publications for answer in self._write([publication])]
            log.warning("The database refused an event: %s", type(error.orig).__name__)
            return [Invalid("The database cannot store this event.")]
        except SQLAlchemyError as error:
            raise Unavailable(
                f"The database does not answer ({type(error).__name__}), so the outcome is not known. Send the"
                " events again with the same ids or Idempotency-Key: then they are published once."
            ) from error

    def _write_together(self, publications: Sequence[Publication]) -> list[list[Receipt] | HubError]:
        # What is one statement is committed by it: one round trip instead of three.
        isolation = "AUTOCOMMIT" if all(one.is_plain for one in publications) else "READ COMMITTED"
        with self._engine.connect().execution_options(isolation_level=isolation) as conn, conn.begin():
            answers: list[list[Receipt] | HubError] = [*write(conn, publications)]
        _group_size.observe(sum(len(p.events) for p in publications))
        accepted = [r.id for a in answers if isinstance(a, list) for r in a if r.status == "accepted"]
        if accepted:
            self._ring(TaskName.DELIVERIES_SEND, accepted[:DOORBELL_IDS])
        return answers
