"""What the API process does once a minute beside serving requests: note when API keys were last used."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from hub.access.authenticator import Authenticator

log = logging.getLogger(__name__)


class KeyUse:
    """Writes `last_used_at` in the background.

    Args:
        engine: the database.
        authenticator: knows which keys were used.
        every: seconds between two writes.
    """

    def __init__(self, engine: Engine, authenticator: Authenticator, *, every: float = 60.0) -> None:
        self._engine = engine
        self._authenticator = authenticator
        self._every = every
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Write once more, then end."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.write()

    async def write(self) -> None:
        """Write what gathered. A database that is away costs nothing but the times' accuracy."""
        try:
            await run_in_threadpool(self._write)
        except SQLAlchemyError as error:
            log.warning("The last use of API keys was not written (%s).", type(error).__name__)

    def _write(self) -> None:
        with self._engine.begin() as conn:
            self._authenticator.flush_last_used(conn)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            await self.write()
