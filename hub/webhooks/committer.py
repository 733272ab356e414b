"""Group commit: publishes that arrive together are written together.

Requests of one API process that arrive within a couple of milliseconds share one transaction, because a commit costs
a disk flush whether it carries one event or a thousand.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prometheus_client import Histogram
from sqlalchemy.exc import DataError, SQLAlchemyError

from hub.core.errors import HubError, Invalid, Unavailable
from hub.queue.contracts import DOORBELL_IDS, TaskName
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


@dataclass(slots=True)
class _Waiting:
    publication: Publication
    answer: asyncio.Future[list[Receipt]]


class Committer:
    """Group commit for one event loop.

    Args:
        engine: the database.
        ring: the doorbell; must not block.
        window_seconds: how long a publish waits for company. The next group collects while one is being written, so
            under load the window adds nothing.
    """

    #: Transactions under way at once: while one waits for the disk, the next is prepared.
    _PARALLEL = 2

    def __init__(self, engine: Engine, ring: Ring, *, window_seconds: float) -> None:
        self._engine = engine
        self._ring = ring
        self._window = window_seconds
        self._waiting: list[_Waiting] = []
        self._events_waiting = 0
        self._news = asyncio.Event()
        self._slots = asyncio.Semaphore(self._PARALLEL)
        self._threads = ThreadPoolExecutor(self._PARALLEL, thread_name_prefix="commit")
        self._loop_task: asyncio.Task[None] | None = None
        self._groups: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to commit."""
        self._loop_task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Commit what waits, then end."""
        if self._loop_task is not None:
            self._loop_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop_task
        while self._waiting:
            await self._write_group(self._take())
        await asyncio.gather(*self._groups)
        self._threads.shutdown()

    async def publish(self, publication: Publication) -> list[Receipt]:
        """Commit the events of one request.

        Raises:
            IdempotencyKeyReused: its key was used with another body.
            Unavailable: too many wait, or the database does not answer.
        """
        if self._events_waiting + len(publication.events) > _MAX_WAITING:
            raise Unavailable(
                f"{self._events_waiting} events wait to be written; send this again in a moment."
            )
        waiting = _Waiting(publication, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._events_waiting += len(publication.events)
        self._news.set()
        return await waiting.answer

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            if self._window and self._events_waiting < _MAX_GROUP:
                await asyncio.sleep(self._window)
            await self._slots.acquire()
            group = self._take()
            if not self._waiting:
                self._news.clear()
            task = asyncio.create_task(self._write_group(group, slot=True))
            self._groups.add(task)
            task.add_done_callback(self._groups.discard)

    def _take(self) -> list[_Waiting]:
        count, events = 0, 0
        for waiting in self._waiting:
            if count and events + len(waiting.publication.events) > _MAX_GROUP:
                break
            count += 1
            events += len(waiting.publication.events)
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        self._events_waiting -= events
        return group

    async def _write_group(self, group: list[_Waiting], *, slot: bool = False) -> None:
        try:
            loop = asyncio.get_running_loop()
            answers: Sequence[Any] = await loop.run_in_executor(self._threads, self._write, group)
        except HubError as error:
            answers = [error] * len(group)
        except SQLAlchemyError as error:
            failure = Unavailable(
                f"The database does not answer ({type(error).__name__}), so the outcome is not known. Send the events"
                " again with the same ids or Idempotency-Key: then they are published once."
            )
            answers = [failure] * len(group)
        except Exception as error:  # noqa: BLE001 - every request gets an answer
            answers = [error] * len(group)
        finally:
            if slot:
                self._slots.release()
        for waiting, answer in zip(group, answers, strict=True):
            if waiting.answer.done():  # the client went away
                continue
            if isinstance(answer, BaseException):
                waiting.answer.set_exception(answer)
            else:
                waiting.answer.set_result(answer)

    def _write(self, group: list[_Waiting]) -> list[list[Receipt] | HubError]:
        try:
            return self._write_together([waiting.publication for waiting in group])
        except DataError as error:
            if len(group) > 1:
                # One request's data must not cost its neighbours their acceptance.
                return [answer for waiting in group for answer in self._write([waiting])]
            log.warning("The database refused an event: %s", type(error.orig).__name__)
            return [Invalid("The database cannot store this event.")]

    def _write_together(self, publications: list[Publication]) -> list[list[Receipt] | HubError]:
        with self._engine.begin() as conn:
            answers: list[list[Receipt] | HubError] = [*write(conn, publications)]
        _group_size.observe(sum(len(p.events) for p in publications))
        accepted = [r.id for a in answers if isinstance(a, list) for r in a if r.status == "accepted"]
        if accepted:
            self._ring(TaskName.DELIVERIES_SEND, accepted[:DOORBELL_IDS])
        return answers
