"""Working off replays: one step of one job at a time, whichever has been due longest.

A step is one transaction: it takes the job, looks at a page, sends again what it selected, and writes how far it came.
So a worker that dies at any point leaves the job as it was before the step, and nothing is passed over or sent twice.
Between steps a job waits for its rate with `due_at`, and the worker serves the others; one that has to wait longer is
left, and the sweep rings for it.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from hub.core.errors import HubError
from hub.webhooks.replay import pacing, scan_store, store
from hub.webhooks.replay.audience import Audiences
from hub.webhooks.replay.criteria import MAKING, Criteria
from hub.webhooks.replay.pages import Page, Position
from hub.webhooks.replay.requeue import requeue
from hub.webhooks.replay.scanning import scan_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine, Row

log = logging.getLogger(__name__)

#: A step whose process hangs is undone by the database after so many seconds.
_HUNG = 30
#: Jobs that become due within this time are waited for, seconds; for later ones the sweep rings.
_NAP = 0.5
_SLICE_OF_NAP = 0.1
_SHORTEST_NAP = 0.05
#: The first wait after a step that failed, seconds; it doubles.
_TROUBLE = 1.0
_GIVE_UP_AFTER = 10


@dataclass(slots=True)
class Report:
    """What one run did; what Flower shows."""

    steps: int = 0
    requeued: int = 0
    unfinished: bool = False


class Runner:
    """Makes steps in one process.

    Args:
        engine: the database.
        owner: this worker's name, written into jobs.
        sent: called after deliveries became due and were committed.
    """

    def __init__(self, engine: Engine, *, owner: str, sent: Callable[[], object]) -> None:
        self._engine = engine
        self._owner = owner
        self._sent = sent
        self._audiences = Audiences()

    def run(
        self,
        *,
        seconds: float,
        stopping: Callable[[], bool],
        alive: Callable[[], None] = lambda: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Report:
        """Make steps until no job is due soon, or the time is over.

        Args:
            seconds: longest life.
            stopping: True once the worker shuts down.
            alive: called between steps.
            sleep: waits so many seconds.
        """
        report = Report()
        ends = time.monotonic() + seconds
        while not stopping():
            if time.monotonic() >= ends:
                report.unfinished = True
                break
            alive()
            try:
                requeued = self.step()
            except SQLAlchemyError as error:
                log.warning("No replay could be taken (%s); the sweep rings again.", _sentence(error))
                break
            if requeued is not None:
                report.steps += 1
                report.requeued += requeued
                continue
            with self._engine.connect() as conn:
                wait = store.seconds_until_due(conn)
            if wait is None or wait > _NAP:
                break
            sleep(min(max(wait, _SHORTEST_NAP), _SLICE_OF_NAP))
        return report

    def step(self) -> int | None:
        """Make one step of the job that has been due longest.

        Returns:
            How many deliveries became due; None: no job is due, or others are busy with them.

        Raises:
            SQLAlchemyError: no job could be taken.
        """
        row = None
        try:
            with self._engine.begin() as conn:
                store.limit_transaction(conn, seconds=_HUNG)
                row = store.take(conn)
                if row is None:
                    return None
                requeued = self._work(conn, row)
        except (SQLAlchemyError, HubError) as error:
            if row is None:
                raise
            self._note(row, error)
            return 0
        if requeued:
            self._sent()
        return requeued

    def _work(self, conn: Connection, row: Row[Any]) -> int:
        criteria = Criteria.of(row)
        if criteria.kind in MAKING:
            scan_store.lock_making(conn, row.tenant_id)
        audience = self._audiences.get(conn, row.tenant_id, row.endpoint_id)
        if row.endpoint_id is not None and not len(audience):
            gone = {"state": "failed", "reason": "endpoint_deleted", "error": "The endpoint was deleted."}
            store.write_step(conn, row.id, gone, pause=0.0, deliveries=())
            return 0
        scan = scan_of(conn, criteria, audience)
        tokens = pacing.refill(row.tokens, row.rate, row.elapsed)
        page = Page(Position(row.cursor_endpoint, row.cursor_id))
        if allowed := pacing.allowance(tokens):
            page = scan.page(page.position, allowed)
        requeued = requeue(conn, row.tenant_id, page.selected, allowed=criteria.states)
        tokens -= len(page.selected)
        values = {
            "state": "done" if page.finished else "running",
            "cursor_endpoint": page.position.endpoint_id,
            "cursor_id": page.position.row_id,
            "fraction": 1.0 if page.finished else scan.fraction(page.position),
            "scanned": row.scanned + page.scanned,
            "selected": row.selected + len(page.selected),
            "requeued": row.requeued + len(requeued),
            "waiting": row.waiting + page.waiting,
            "tokens": tokens,
            "worker": self._owner,
        }
        # Rows that are passed over cost no tokens: the next page may be looked at while there are some.
        wait = pacing.pause(tokens, row.rate) if page.selected or tokens < 1 else 0.0
        store.write_step(conn, row.id, values, pause=wait, deliveries=requeued)
        return len(requeued)

    def _note(self, row: Row[Any], error: Exception) -> None:
        """The step was undone; the job tries again later, or fails when it never works."""
        sentence = _sentence(error)
        log.warning("A step of replay %s was undone: %s", row.id, sentence)
        with self._engine.begin() as conn:
            store.note_trouble(conn, row.id, sentence, pause=_TROUBLE, give_up_after=_GIVE_UP_AFTER)


def _sentence(error: Exception) -> str:
    """The driver's first line: SQLAlchemy's own text holds the statement and its parameters."""
    if isinstance(error, HubError):
        return error.detail
    cause = error.orig if isinstance(error, DBAPIError) else error
    return f"{type(cause).__name__}: {(str(cause).splitlines() or [''])[0]}"[:500]
