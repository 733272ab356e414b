"""Cutting off the calls of executions that were cancelled: looks after those under way while a pump runs."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Self

from sqlalchemy.exc import SQLAlchemyError

from hub.integrations.executions import claim_store

if TYPE_CHECKING:
    from types import TracebackType
    from uuid import UUID

    from sqlalchemy import Engine

    from hub.integrations.executions.job import CallsUnderWay

log = logging.getLogger(__name__)

#: Seconds between looks: one statement each, and none while no call has lasted that long.
_EVERY = 1.0


class Watch:
    """A thread that ends calls whose rows are no longer theirs; as a context manager around a pump.

    Args:
        engine: the database.
        under_way: the calls.
        every: seconds between looks.
    """

    def __init__(self, engine: Engine, under_way: CallsUnderWay, *, every: float = _EVERY) -> None:
        self._engine = engine
        self._under_way = under_way
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="cut-off", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(self._every)

    def _watch(self) -> None:
        before: dict[UUID, int] = {}
        while not self._over.wait(self._every):
            now = self._under_way.claims()
            # Only calls that were there at the last look too: short ones cost no statement.
            lasting = {one: fence for one, fence in now.items() if before.get(one) == fence}
            before = now
            if not lasting:
                continue
            try:
                with self._engine.connect() as conn:
                    ours = claim_store.still_leased(conn, lasting)
            except SQLAlchemyError as error:
                log.warning("Could not look after cancelled executions (%s).", type(error).__name__)
                continue
            self._under_way.cut_off({one: fence for one, fence in lasting.items() if one not in ours})
