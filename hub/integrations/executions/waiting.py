"""`Prefer: wait=N` (RFC 7240, 4.3): requests that wait for the end of an execution.

One poll asks for all waiters of the process together, every 20 ms while there are any, so a thousand waiting
requests cost the database fifty small statements a second and no connection each.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from hub.integrations.executions import store

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Engine

log = logging.getLogger(__name__)

MAX_WAIT_SECONDS = 60.0
_EVERY = 0.02
_AFTER_TROUBLE = 0.5
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,6})\"?\s*(?:$|[,;])", re.IGNORECASE)


def preferred_wait(header: str | None) -> float | None:
    """The seconds that a `Prefer` header asks for, at most 60; None when it says nothing of it.

    A preference that cannot be read is ignored, as RFC 7240, 2 demands.
    """
    found = _WAIT.search(header or "")
    return None if found is None else min(float(found[1]), MAX_WAIT_SECONDS)


class Waiters:
    """The requests of one process that wait. Used on one event loop.

    Args:
        engine: asked from a thread.
        every: seconds between polls.
    """

    def __init__(self, engine: Engine, *, every: float = _EVERY) -> None:
        self._engine = engine
        self._every = every
        self._waiting: dict[UUID, set[asyncio.Future[None]]] = {}
        self._poller: asyncio.Task[None] | None = None

    async def wait(self, execution_id: UUID, seconds: float) -> bool:
        """Wait until an execution is finished.

        Args:
            execution_id: of a row that is committed.
            seconds: how long.

        Returns:
            False when the time was over first.
        """
        done = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(execution_id, set()).add(done)
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            async with asyncio.timeout(seconds):
                await done
        except TimeoutError:
            return False
        finally:
            waiters = self._waiting.get(execution_id, set())
            waiters.discard(done)
            if not waiters:
                self._waiting.pop(execution_id, None)
        return True

    async def _poll(self) -> None:
        pause = self._every
        while self._waiting:
            await asyncio.sleep(pause)
            ids = list(self._waiting)
            if not ids:
                return
            try:
                finished = await run_in_threadpool(self._finished, ids)
                pause = self._every
            except SQLAlchemyError as error:
                # The rows are safe; who waits gets 202 in the end.
                log.warning("Could not look after waiting executions (%s).", type(error).__name__)
                pause = _AFTER_TROUBLE
                continue
            for execution_id in finished:
                for future in self._waiting.get(execution_id, ()):
                    if not future.done():
                        future.set_result(None)

    def _finished(self, ids: list[UUID]) -> set[UUID]:
        with self._engine.connect() as conn:
            return store.finished_among(conn, ids)
